//! Answers requests in tasks of tokio, whose threads were there before the agent registered.

use std::io::{self, Write};
use std::time::Duration;

use ask::{Result, answer, ask};
use keyagent::{Agent, AsyncAgent};
use keyring::join_session_keyring;

mod ask;

#[tokio::main]
async fn main() -> Result<()> {
    if ask::is_child()? {
        return Ok(());
    }
    join_session_keyring(None)?;
    let agent = AsyncAgent::new(Agent::builder("user").register()?)?;
    let children = (0..8).map(|number| ask(&number.to_string())).collect::<Result<Vec<_>>>()?;
    let mut tasks = Vec::new();
    for _ in &children {
        let request = agent.next().await?;
        tasks.push(tokio::spawn(async move { request.negate(Duration::from_secs(1)) }));
    }
    for task in tasks {
        task.await??;
    }
    for child in children {
        assert_eq!(answer(child)?, "error 126");
    }
    writeln!(io::stdout(), "all as documented")?;
    Ok(())
}

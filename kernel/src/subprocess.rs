//! Programs that this crate runs. None outlives the command, and each error has the whole command
//! line.

use std::{
    borrow::Cow,
    env,
    ffi::OsStr,
    io::{self, Read, Write},
    iter,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread,
};

use nix::{
    sys::{
        prctl,
        signal::{Signal, kill},
    },
    unistd::Pid,
};

use crate::{Error, Result, fs::is_full};

/// Environment variables that a program inherits if it builds or checks a kernel. All others are
/// removed. kbuild, the compiler and the kernel's scripts read dozens of variables (`LLVM`, `ARCH`,
/// `KCFLAGS`, `CPATH`, `KBUILD_…`), which the key of an image does not cover.
const PASSED_ON: &[&str] = &[
    // The programs themselves, including a toolchain of the user's own, and their libraries.
    "PATH",
    "LD_LIBRARY_PATH",
    // Writable directories.
    "HOME",
    "TMPDIR",
    // Configuration and cache of ccache, besides CCACHE_….
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
];

/// Returns a program that builds or checks a kernel, in an environment with paths only.
pub(crate) fn tool(program: impl AsRef<OsStr>) -> Command {
    let is_passed_on = |name: &OsStr| {
        name.to_str().is_some_and(|name| PASSED_ON.contains(&name) || name.starts_with("CCACHE_"))
    };
    let mut command = Command::new(program);
    command.env_clear().envs(env::vars_os().filter(|(name, _)| is_passed_on(name))).env("LC_ALL", "C");
    command
}

/// Returns `git` on that repository, independent of the user's own configuration and environment.
pub fn git(repository: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(repository);
    for setting in [
        "safe.directory=*",
        "core.compression=0",
        "core.looseCompression=1",
        "core.fsync=none",
        "core.autocrlf=false",
        "gc.auto=0",
        "checkout.workers=0",
        "advice.detachedHead=false",
    ] {
        command.args(["-c", setting]);
    }
    for name in
        ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_NAMESPACE"]
    {
        command.env_remove(name);
    }
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("LC_ALL", "C");
    command
}

/// A running program, which is terminated when this is dropped, or when the thread that started it
/// exits.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) child: Child,
    line: String,
    place: PathBuf,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let (line, place) = (command_line(command), place(command));
        // SAFETY: between fork and exec the closure makes one prctl(2) call and touches no memory of the parent's.
        unsafe {
            command.pre_exec(|| prctl::set_pdeathsig(Signal::SIGTERM).map_err(io::Error::from));
        }
        match command.spawn() {
            Ok(child) => Ok(Self { child, line, place }),
            Err(error) => Err(Error::Command {
                command: line,
                status: format!("could not start: {error}"),
                stderr: String::new(),
            }),
        }
    }

    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        drop(self.child.stdin.take());
        self.child
            .wait()
            .map_err(|error| self.failure(format!("could not be waited for: {error}"), String::new()))
    }

    /// Waits for its exit, which must be a success.
    pub(crate) fn succeed(mut self) -> Result<()> {
        let mut stderr = String::new();
        if let Some(mut pipe) = self.child.stderr.take() {
            drop(self.child.stdin.take());
            let _ = pipe.read_to_string(&mut stderr);
        }
        let status = self.wait()?;
        if status.success() { Ok(()) } else { Err(self.failure(status, stderr)) }
    }

    pub(crate) fn failure(&self, status: impl ToString, stderr: String) -> Error {
        failure(self.line.clone(), &self.place, status.to_string(), stderr)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // SIGTERM and not SIGKILL: make passes it on to the compilers and removes the half-written file.
            let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
            let _ = self.child.wait();
        }
    }
}

/// Runs a program with that input. Returns its output, regardless of the exit status.
pub(crate) fn output(command: &mut Command, input: &[u8]) -> Result<Output> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running::start(command)?;
    let mut stdin = running.child.stdin.take();
    let mut errors = running.child.stderr.take();
    let mut stdout = Vec::new();
    let mut stderr = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            // A program that does not read its input to the end reports the reason in its exit
            // status.
            let _ = stdin.take().map(|mut pipe| pipe.write_all(input));
        });
        scope.spawn(|| errors.as_mut().map(|pipe| pipe.read_to_end(&mut stderr)));
        running.child.stdout.take().map(|mut pipe| pipe.read_to_end(&mut stdout))
    });
    let status = running.wait()?;
    Ok(Output { status, stdout, stderr })
}

/// Runs a program, which must succeed. Returns its unchanged output.
pub(crate) fn bytes(command: &mut Command) -> Result<Vec<u8>> {
    let output = output(command, b"")?;
    if output.status.success() { Ok(output.stdout) } else { Err(failed(command, &output)) }
}

/// Runs a program with that input, which must succeed. Returns its output without the last newline.
pub(crate) fn read(command: &mut Command, input: &[u8]) -> Result<String> {
    let output = output(command, input)?;
    if !output.status.success() {
        return Err(failed(command, &output));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned())
}

pub(crate) fn failed(command: &Command, output: &Output) -> Error {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    failure(command_line(command), &place(command), output.status.to_string(), stderr)
}

/// Returns the command as a user would type it.
pub fn command_line(command: &Command) -> String {
    let words = iter::once(command.get_program()).chain(command.get_args());
    words.map(quoted).collect::<Vec<_>>().join(" ")
}

/// Returns one word of a command line, quoted for a shell.
pub fn quoted(word: impl AsRef<OsStr>) -> String {
    // No argument contains NUL, the one character that can't be quoted.
    let quoter = shlex::Quoter::new().allow_nul(true);
    let word = word.as_ref().to_string_lossy();
    quoter.quote(&word).map(Cow::into_owned).unwrap_or_else(|_| word.clone().into_owned())
}

/// Returns the program's working directory.
fn place(command: &Command) -> PathBuf {
    let directory = command.get_args().skip_while(|word| *word != "-C").nth(1).map(Path::new);
    directory.or(command.get_current_dir()).unwrap_or(Path::new("/")).to_owned()
}

fn failure(command: String, place: &Path, status: String, stderr: String) -> Error {
    if is_full(&stderr) {
        return Error::DiskFull { path: place.to_owned() };
    }
    Error::Command { command, status, stderr }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_quoted_for_a_shell() {
        let mut command = Command::new("qemu");
        command.args(["-append", "quiet panic=-1", "it's", ""]);
        assert_eq!(command_line(&command), r#"qemu -append 'quiet panic=-1' "it's" ''"#);
    }
}

//! Boot time from the start of a virtual machine to PID 1's hello, on each back end. The reference
//! is `vng` with `true` on the same image.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};
use kernel::Fragment;

use super::{Figure, Results, Setup, Unit, shuffled, workers};
use crate::host::process;
use crate::runner::environment::{Environment, Extras};
use crate::vm::{Kind, vng};

/// Paths of udevd on the host, which vng's init starts to name the guest's ports.
const UDEVD: [&str; 2] = ["/lib/systemd/systemd-udevd", "/usr/lib/systemd/systemd-udevd"];

/// Guest or command whose start is measured.
enum Starter {
    Testbed(Box<Environment>),
    Vng(Vng),
}

/// A starter with its samples, in seconds.
struct Case {
    name: String,
    starter: Starter,
    samples: Vec<f64>,
}

pub fn measure(setup: &Setup<'_>) -> Result<Results> {
    let mut results = Results::default();
    let (program, lack) = match supported_vng() {
        Ok(program) => (Some(program), None),
        Err(why) => (None, Some(why)),
    };
    // vng mounts its root over 9p, which the testbed's guests do not need; the image must be the
    // same.
    let virtme = program.as_ref().map(|_| Fragment::named("virtme")).transpose()?;
    let extras = |vm| Extras {
        fragments: virtme.iter().filter(|_| vm != Some(Kind::Uml)).cloned().collect(),
        ..Extras::default()
    };
    let (environments, left_out) = workers(setup, extras)?;
    results.remarks.extend(left_out);
    results.remarks.extend(lack.map(|why| format!("vng is left out: {why}")));

    let vng = program.and_then(|program| Vng::on_first_of(&environments, program));
    let compared = vng.as_ref().map(|vng| (vng.name(), vng.kind.to_string()));
    let own = environments
        .into_iter()
        .map(|environment| (environment.kind().to_string(), Starter::Testbed(Box::new(environment))));
    let starters = own.chain(vng.map(|vng| (vng.name(), Starter::Vng(vng))));
    let mut cases: Vec<Case> =
        starters.map(|(name, starter)| Case { name, starter, samples: Vec::new() }).collect();
    sample(&mut cases, setup)?;
    for Case { name, samples, .. } in &cases {
        results.figures.extend(Figure::of("boot", name.clone(), Unit::Seconds, samples));
    }
    if let Some((vng, kind)) = compared {
        let ratio = results.ratio(&vng, &kind).map(|ratio| format!("{kind} takes 1/{ratio:.1} of {vng}"));
        results.remarks.extend(ratio);
    }
    Ok(results)
}

/// Starts each case once a round, in random order.
fn sample(cases: &mut [Case], setup: &Setup<'_>) -> Result<()> {
    let work = setup.terminal.work_on("Starting virtual machines", u64::from(setup.rounds));
    // The first round warms the disk cache, and does not count.
    for round in 0..=setup.rounds {
        for index in shuffled(0..cases.len()) {
            let Case { name, starter, samples } = &mut cases[index];
            let seconds = starter.seconds().with_context(|| format!("can't start {name}"))?;
            if round > 0 {
                samples.push(seconds);
            }
        }
        work.reach(u64::from(round));
    }
    Ok(())
}

impl Starter {
    /// Starts it once. The shutdown is not measured for the testbed's own guests.
    fn seconds(&self) -> Result<f64> {
        let begun = Instant::now();
        match self {
            Self::Testbed(environment) => {
                let session = environment.guest()?;
                let took = begun.elapsed();
                session.close()?;
                Ok(took.as_secs_f64())
            }
            Self::Vng(vng) => {
                vng.run()?;
                Ok(begun.elapsed().as_secs_f64())
            }
        }
    }
}

/// virtme-ng with the image of an environment.
struct Vng {
    program: PathBuf,
    image: PathBuf,
    kind: Kind,
    cpus: u32,
    memory_mib: u32,
}

impl Vng {
    /// Returns virtme-ng with the kernel of the first QEMU environment.
    fn on_first_of(environments: &[Environment], program: PathBuf) -> Option<Self> {
        let environment = environments.iter().find(|environment| environment.kind() != Kind::Uml)?;
        let (image, cpus) = (environment.boot.image.clone(), environment.boot.cpus);
        Some(Self { program, image, kind: environment.kind(), cpus, memory_mib: environment.boot.memory_mib })
    }

    fn name(&self) -> String {
        format!("vng {} true, {}", vng::VERSION, self.kind)
    }

    fn run(&self) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.arg("--run").arg(&self.image).args(["--cpus", &self.cpus.to_string()]);
        command.args(["--memory", &format!("{}M", self.memory_mib)]).args(vng::PORTABLE);
        if self.kind != Kind::Kvm {
            command.arg("--disable-kvm");
        }
        process::run(command.args(["--", "true"]))
    }
}

/// Returns vng's path if its version is the supported one; else the reason.
fn supported_vng() -> Result<PathBuf, String> {
    if !UDEVD.iter().any(|path| Path::new(path).exists()) {
        return Err(
            "without this machine's udev no exit status comes back from its guest: install the package udev"
                .into(),
        );
    }
    match vng::find().map_err(|error| format!("{error:#}"))? {
        (program, version) if version == vng::VERSION => Ok(program),
        (_, version) => Err(format!("this machine has {version}, and {} is wanted", vng::VERSION)),
    }
}

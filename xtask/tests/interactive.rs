//! Interactive commands: shell, program, own initramfs, completion, bundle.

mod common;

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result};
use common::{streams, xtask};
use rootfs::{Artefacts, Manifest};
use rstest::rstest;
use tempfile::TempDir;
use xtask::host::workspace;

/// Runs `cargo xtask` with this standard input.
fn with_input(arguments: &[&str], input: &[u8]) -> Result<Output> {
    let mut child = xtask(arguments).stdin(Stdio::piped()).spawn()?;
    child.stdin.take().context("no standard input")?.write_all(input)?;
    Ok(child.wait_with_output()?)
}

/// Creates a directory for this test alone. A guest sees files there; its /tmp is its own.
fn directory() -> Result<TempDir> {
    Ok(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}

fn initramfs(directory: &TempDir, manifest: &str, files: &Artefacts<'_>) -> Result<String> {
    let path = directory.path().join("initramfs.cpio.zst");
    let archive = rootfs::build(&Manifest::read(manifest)?, files)?;
    fs::write(&path, zstd::encode_all(archive.as_slice(), 0)?)?;
    Ok(path.display().to_string())
}

/// Checks whether a program for the guest is missing on this host and can't be installed. Reports
/// that; on a CI server it is an error.
fn lacks(programs: &[&str]) -> Result<bool> {
    let (_, _, stderr) = streams(&xtask(&["host"]).output()?);
    let missing = programs.iter().find(|program| !kernel::has_program(program));
    if let Some(program) = missing {
        anyhow::ensure!(std::env::var_os("CI").is_none(), "{program} is not installed\n{stderr}");
        // Bypasses the harness, which hides the output of passing tests.
        writeln!(io::stderr(), "skipped: {program} is not installed\n{stderr}")?;
    }
    Ok(missing.is_some())
}

#[test]
fn shell_script_runs_on_the_patched_kernel_and_returns_its_exit_code() -> Result<()> {
    if lacks(&["busybox", "keyctl"])? {
        return Ok(());
    }
    let script = b"uname -r; test -e /init && keyctl rdescribe @s | grep -q ';_ses$' && echo well; exit 7\n";
    let (code, stdout, stderr) = streams(&with_input(&["shell"], script)?);
    assert_eq!(code, Some(7), "{stderr}");
    assert!(stdout.lines().next().is_some_and(|release| release.ends_with("-keyagents")), "{stdout}");
    assert!(stdout.ends_with("well\n"), "{stdout}");
    Ok(())
}

/// Command lines, and the expected completion of their last word.
const COMPLETED: [(&str, &str); 4] = [
    ("cargo xtask scen", "scenarios"),
    ("cargo xtask repro chosen", "chosen-error"),
    ("cargo xtask test rejection/cho", "rejection/chosen-error"),
    ("cargo xtask bundle chosen-error --kernel 6.12", "6.12"),
];

/// Lets the shell complete these lines after it has read its script. `ask` returns the shell code
/// for a line.
fn completes(shell: &[&str], ask: impl Fn(&str) -> String) -> Result<()> {
    let (code, script, stderr) = streams(&xtask(&["completions", shell[0]]).output()?);
    assert_eq!(code, Some(0), "{stderr}");
    for (line, completed) in COMPLETED {
        let script = format!("{script}\n{}", ask(line));
        let output = match Command::new(shell[0]).args(&shell[1..]).args(["-c", &script]).output() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Bypasses the harness, which hides the output of passing tests.
                return Ok(writeln!(io::stderr(), "skipped: {} is not installed", shell[0])?);
            }
            output => output?,
        };
        let (_, candidates, stderr) = streams(&output);
        let first = candidates.split(['\t', '\n', ':']).next();
        assert_eq!(first, Some(completed), "{line}: {candidates}{stderr}");
    }
    Ok(())
}

#[test]
fn bash_completes_commands_scenarios_and_kernels() -> Result<()> {
    completes(&["bash", "--norc"], |line| {
        format!(
            "COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMP_TYPE=9\n\
             _xtask_of_cargo cargo \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"; echo \"${{COMPREPLY[*]}}\""
        )
    })
}

#[test]
fn fish_completes_commands_scenarios_and_kernels() -> Result<()> {
    completes(&["fish", "--no-config"], |line| format!("complete --do-complete '{line}'"))
}

#[test]
fn zsh_completes_commands_scenarios_and_kernels() -> Result<()> {
    // There is no terminal to complete on, so zsh's own function is replaced.
    completes(&["zsh", "-f"], |line| {
        let describe = "_describe() { print -l -- ${(P)3} }";
        format!("{describe}; words=({line}); CURRENT=${{#words}}; _xtask_of_cargo")
    })
}

#[test]
fn host_program_passes_streams_and_exit_code_through() -> Result<()> {
    if lacks(&["busybox"])? {
        return Ok(());
    }
    let input: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let directory = directory()?;
    let included = directory.path().join("included");
    fs::write(&included, "brought along")?;
    let included = included.to_string_lossy();
    let script = format!("cat; cat {included} >&2; kill -USR1 $$");
    let output = with_input(&["run", "--include", &included, "--", "sh", "-c", &script], &input)?;
    let (code, _, stderr) = streams(&output);
    // SIGUSR1 is 10.
    assert_eq!(code, Some(138), "{stderr}");
    assert!(output.stdout == input, "{} bytes came back", output.stdout.len());
    assert!(stderr.ends_with("brought along"), "{stderr}");
    Ok(())
}

/// Compiles a C program or library.
fn compile(output: &Path, source: &str, arguments: &[&str]) -> Result<()> {
    let file = output.with_extension("c");
    fs::create_dir_all(output.parent().context("no directory")?)?;
    fs::write(&file, source)?;
    let done = Command::new("gcc").arg("-o").args([output, file.as_path()]).args(arguments).status()?;
    assert!(done.success());
    Ok(())
}

#[test]
fn script_finds_program_and_libraries_as_on_the_host() -> Result<()> {
    let directory = directory()?;
    let place = directory.path().join("a place");
    let at = |name: &str| place.join(name);
    let [first, second, third] =
        ["app/lib", "second", "third"].map(|name| format!("-L{}", at(name).display()));
    let shared = ["-shared", "-fPIC"];
    // `one` is found beside the target of a link to the program, `two` through a link in
    // LD_LIBRARY_PATH, `three` by an RPATH.
    compile(&at("app/lib/libone.so"), "int one(void) { return 1; }", &shared)?;
    compile(&at("second/libtwo.so"), "int two(void) { return 2; }", &shared)?;
    compile(&at("third/libthree.so"), "int three(void) { return 39; }", &shared)?;
    let source = "#include <sys/stat.h>\nint one(void); int two(void); int three(void);\n\
                  int main(int n, char **word) { struct stat s; return stat(word[n - 1], &s) ? 1 : one() + two() + three(); }";
    let ways =
        "-Wl,--disable-new-dtags,-rpath,$ORIGIN/../lib:".to_owned() + &at("way to third").to_string_lossy();
    let libraries = [first.as_str(), &second, &third, "-lone", "-ltwo", "-lthree", &ways];
    compile(&at("app/bin/answer"), source, &libraries)?;
    for (link, target) in
        [("way to second", "second"), ("way to third", "third"), ("programs/answer", "../app/bin/answer")]
    {
        fs::create_dir_all(at("programs"))?;
        std::os::unix::fs::symlink(target, at(link))?;
    }
    // Files that can't be executed are skipped.
    fs::create_dir(at("earlier"))?;
    fs::write(at("earlier/answer"), "")?;
    fs::create_dir_all(at("tree/empty"))?;
    fs::write(at("script"), "#!/usr/bin/env answer\n")?;
    fs::set_permissions(at("script"), fs::Permissions::from_mode(0o755))?;

    let path = format!("earlier:{}:{}", at("programs").display(), std::env::var("PATH")?);
    let mut command = xtask(&["run", "--include", "tree", "--", "env", "./script", "tree/empty"]);
    command.current_dir(&place).env("PATH", path).env("LD_LIBRARY_PATH", "way to second");
    let (code, _, stderr) = streams(&command.output()?);
    assert_eq!(code, Some(42), "{stderr}");
    Ok(())
}

const POWER_OFF: &str =
    "mov $169, %eax; mov $0xfee1dead, %edi; mov $672274793, %esi; mov $0x4321fedc, %edx; syscall";
/// Exit of PID 1, which makes the kernel panic.
const LEAVE: &str = "mov $60, %eax; mov $3, %edi; syscall";

#[rstest]
#[case::powered_off(POWER_OFF, 0)]
#[case::panicked(LEAVE, 1)]
fn custom_initramfs_boots_and_its_end_gives_the_exit_code(
    #[case] end: &str,
    #[case] code: i32,
) -> Result<()> {
    // Without a C library: prints a line and ends.
    let source = format!(
        ".globl _start\n_start: mov $1, %eax; mov $1, %edi; lea word(%rip), %rsi; mov $6, %edx; syscall\n{end}\n\
         word: .ascii \"hello\\n\"\n"
    );
    let directory = directory()?;
    let assembly = directory.path().join("init.S");
    fs::write(&assembly, source)?;
    let program = assembly.with_extension("");
    let done =
        Command::new("gcc").args(["-static", "-nostdlib", "-o"]).arg(&program).arg(&assembly).status()?;
    assert!(done.success());
    let program = fs::read(program)?;
    let manifest = "'/init' = { from = 'init', mode = 0o755 }";
    let archive = initramfs(&directory, manifest, &Artefacts::from([("init", program.as_slice())]))?;
    let (ended, stdout, stderr) = streams(&xtask(&["boot", "--initramfs", &archive]).output()?);
    assert!(stdout.contains("hello"), "{stdout}{stderr}");
    assert_eq!(ended, Some(code), "{stdout}{stderr}");
    Ok(())
}

#[test]
fn unusable_input_is_refused_in_one_line_before_any_build() -> Result<()> {
    let directory = directory()?;
    let no_init = initramfs(&directory, "'/etc' = { mode = 0o755 }", &Artefacts::new())?;
    let cases: [(&[&str], &str); 5] = [
        (
            &["repro", "chosen-error", "--kernel-src", "src"],
            "src is not a kernel source: there is no Makefile at its top",
        ),
        (
            &["repro", "chosen-error", "--kernel-src", "/nowhere", "--series", "a..b"],
            "cannot change to '/nowhere'",
        ),
        (&["boot", "--initramfs", &no_init], "it has no /init, which the kernel starts; it has /etc"),
        (&["boot", "--initramfs", "Cargo.toml"], "it is no initramfs"),
        (&["run", "--", "./no-such-program"], "can't run ./no-such-program"),
    ];
    for (arguments, sentence) in cases {
        let (code, _, stderr) = streams(&xtask(arguments).output()?);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains(sentence) && stderr.lines().count() == 1, "{stderr}");
    }
    Ok(())
}

/// Runs a bundle with an empty environment but for PATH.
fn run_bundle(folder: &Path) -> Result<Output> {
    let mut command = Command::new(folder.join("run.sh"));
    Ok(command.env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null()).output()?)
}

#[test]
fn bundle_reruns_its_scenario_hides_this_machine_and_detects_damage() -> Result<()> {
    let directory = directory()?;
    let bundle = directory.path().join("bundle.tar.zst");
    let arguments = ["bundle", "rejection/chosen-error", "--vm", "uml", "-o", &bundle.to_string_lossy()];
    let (code, stdout, stderr) = streams(&xtask(&arguments).output()?);
    assert_eq!(code, Some(0), "{stdout}{stderr}");

    tar::Archive::new(zstd::Decoder::new(fs::File::open(&bundle)?)?).unpack(&directory)?;
    let folder = directory.path().join("keyagents-rejection-chosen-error");
    let root = workspace::root().display().to_string();
    let home = std::env::var("HOME").unwrap_or_default();
    for file in fs::read_dir(&folder)?.flatten().filter(|file| file.path().is_file()) {
        let bytes = fs::read(file.path())?;
        for own in [root.clone(), format!("{home}/.cache"), format!("{home}/.cargo")] {
            assert!(
                memchr::memmem::find(&bytes, own.as_bytes()).is_none(),
                "{own} in {:?}",
                file.file_name()
            );
        }
    }

    let (code, stdout, stderr) = streams(&run_bundle(&folder)?);
    assert!(stdout.ends_with("verdict: passed\n"), "{stdout}{stderr}");
    assert_eq!(code, Some(0), "{stdout}{stderr}");

    let scenario = folder.join("scenario.toml");
    fs::write(&scenario, fs::read_to_string(&scenario)?.replace("EKEYREJECTED", "ENOKEY"))?;
    let (code, stdout, stderr) = streams(&run_bundle(&folder)?);
    assert_eq!(code, Some(2), "{stdout}{stderr}");
    assert!(stderr.contains("this bundle is damaged (scenario.toml is not"), "{stderr}");
    Ok(())
}

#[test]
fn repro_shows_all_sources_and_refuses_a_taken_port() -> Result<()> {
    let (code, stdout, stderr) = streams(&xtask(&["repro", "rejection/chosen-error"]).output()?);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    for side in ["console keyagents: begins", "event   agent registers", "trace   keyagent_complete"] {
        assert!(stdout.contains(side), "{side}: {stdout}");
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port().to_string();
    let output = xtask(&["repro", "chosen-error", "--gdb", "--gdb-port", &port]).output()?;
    let (code, _, stderr) = streams(&output);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains(&format!("port {port} is taken")), "{stderr}");
    Ok(())
}

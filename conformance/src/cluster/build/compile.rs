//! One call of Go, which says how far it is.

use super::{
    go,
    module::Module,
    recipe::{Kind, Recipe},
};
use crate::{
    cluster::{ClusterError, error::tail},
    lab::LabError,
};
use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// How often a long build says how far it is.
const REPORT: Duration = Duration::from_secs(15);

/// Builds beside the final place and renames, so that a build that ends half-way leaves nothing that looks whole.
pub(super) fn into_cache(
    recipe: &Recipe,
    module: &Module,
    cache: &Path,
    dir: &Path,
) -> Result<(), ClusterError> {
    let half = cache.join(format!("{}.building", module.key));
    let log = cache.join(format!("{}.log", module.key));
    // What an earlier attempt left.
    let _ = fs::remove_dir_all(&half);
    fs::create_dir_all(&half).map_err(ClusterError::io(half.display().to_string()))?;
    let go = go::program(&module.go)?;
    compile(&go, recipe, module, &half, &log)?;
    for (name, program) in recipe.links {
        let link = half.join(name);
        std::os::unix::fs::symlink(program, &link).map_err(ClusterError::io(link.display().to_string()))?;
    }
    if let Some(file) = recipe.file {
        let source = package_folder(&go, recipe, module)?.join(file);
        fs::copy(&source, half.join(file)).map_err(ClusterError::io(source.display().to_string()))?;
    }
    fs::rename(&half, dir).map_err(ClusterError::io(dir.display().to_string()))
}

fn compile(go: &Path, recipe: &Recipe, module: &Module, half: &Path, log: &Path) -> Result<(), ClusterError> {
    let no_log = || ClusterError::io(log.display().to_string());
    let mut output = File::create(log).map_err(no_log())?;
    let total = packages(go, recipe, module)?;
    let mut child = call(go, recipe, module, half).spawn().map_err(ClusterError::io("nice"))?;
    let begin = Instant::now();
    let mut told = begin;
    let what = format!("{} {}", recipe.name, module.version);
    let what = what.trim_end();
    eprintln!("building {what} into {}", half.display());
    // One line a package as it is compiled (not for those that Go has kept), and what goes wrong.
    let lines = child.stderr.take().into_iter().flat_map(|stderr| BufReader::new(stderr).lines());
    for (packages, line) in lines.enumerate() {
        writeln!(output, "{}", line.map_err(no_log())?).map_err(no_log())?;
        if told.elapsed() > REPORT {
            told = Instant::now();
            let spent = begin.elapsed().as_secs();
            let left = spent as usize * total.saturating_sub(packages) / packages.max(1);
            eprintln!("  {packages} of at most {total} packages in {spent} s, at most {left} s left");
        }
    }
    let status = child.wait().map_err(ClusterError::io("go build"))?;
    if status.success() {
        eprintln!("built {what} in {} s", begin.elapsed().as_secs());
        return Ok(());
    }
    let text = fs::read_to_string(log).unwrap_or_default();
    Err(ClusterError::Build { what: recipe.name, tail: tail(&text), log: log.to_owned() })
}

/// `go build`, or `go test -c` without `go vet`, which would look at every package that is linked.
fn call(go: &Path, recipe: &Recipe, module: &Module, half: &Path) -> Command {
    // Builds of people who work on this machine come first.
    let mut command = Command::new("nice");
    command.args(["-n", "19"]).arg(go);
    match recipe.kind {
        Kind::Tests => command.args(["test", "-c", "-vet=off"]),
        Kind::Programs | Kind::WithCgo => command.arg("build"),
    };
    if recipe.kind == Kind::WithCgo {
        // Only what is its own uses a C library.
        command.args(["-tags", "netgo,osusergo"]);
    }
    command
        .args(["-v", "-mod=readonly", "-buildvcs=false", "-trimpath", "-gcflags=all=-dwarf=false"])
        .args(["-ldflags", &linker_flags(recipe, &module.version)])
        .arg("-o")
        .arg(half.join(""))
        .args(recipe.packages)
        .current_dir(&module.dir)
        .env("CGO_ENABLED", if recipe.kind == Kind::WithCgo { "1" } else { "0" })
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// How many packages it is made of.
fn packages(go: &Path, recipe: &Recipe, module: &Module) -> Result<usize, ClusterError> {
    let mut arguments = vec!["list", "-mod=readonly", "-buildvcs=false", "-deps"];
    arguments.extend((recipe.kind == Kind::Tests).then_some("-test"));
    arguments.extend(recipe.packages);
    Ok(ask(go, module, &arguments)?.lines().count())
}

/// Where the sources of the first package are.
fn package_folder(go: &Path, recipe: &Recipe, module: &Module) -> Result<PathBuf, ClusterError> {
    let mut arguments = vec!["list", "-mod=readonly", "-buildvcs=false", "-f", "{{.Dir}}"];
    arguments.extend(recipe.packages.first());
    Ok(ask(go, module, &arguments)?.trim().into())
}

fn ask(go: &Path, module: &Module, arguments: &[&str]) -> Result<String, ClusterError> {
    let output = Command::new(go).args(arguments).current_dir(&module.dir).output();
    let output = output.map_err(|e| ClusterError::NoGo(e, module.go.clone()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(LabError::Command { command: "go list".to_owned(), message }.into())
}

/// Without debug data; with the version, which the servers tell and compare.
fn linker_flags(recipe: &Recipe, version: &str) -> String {
    let mut flags = "-s -w".to_owned();
    for variable in recipe.version_variables {
        flags.push_str(&format!(" -X {variable}={version}"));
        // Kubernetes tells the parts of its version apart.
        if let Some(package) = variable.strip_suffix(".gitVersion") {
            let minor = version.split('.').nth(1).unwrap_or_default();
            for (name, value) in [("gitMajor", "1"), ("gitMinor", minor), ("gitTreeState", "archive")] {
                flags.push_str(&format!(" -X {package}.{name}={value}"));
            }
        }
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::{super::recipe::KUBERNETES, *};

    const BROKEN: Recipe = Recipe {
        name: "broken",
        packages: &["."],
        links: &[],
        file: None,
        version_variables: &[],
        ..KUBERNETES
    };

    /// What a build of this source says; the sources of `go.mod` too.
    fn build(folder: &Path, go_mod: &str, source: &str) -> Result<(), ClusterError> {
        let dir = folder.join("module");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("go.mod"), go_mod).unwrap();
        fs::write(dir.join("main.go"), source).unwrap();
        let [key, version, go] = ["broken-1", "", "1.21.0"].map(str::to_owned);
        into_cache(&BROKEN, &Module { dir, key, version, go }, folder, &folder.join("broken-1"))
    }

    #[test]
    fn a_build_that_fails_says_why_leaves_nothing_that_looks_whole_and_the_next_one_works() {
        let folder = tempfile::tempdir().unwrap();
        let (folder, built) = (folder.path(), folder.path().join("broken-1"));
        let (go_mod, source) = ("module broken\n\ngo 1.21\n", "package main\n\nfunc main() {}\n");
        let error =
            build(folder, go_mod, "package main\n\nfunc main() { none() }\n").unwrap_err().to_string();
        assert!(error.contains("building broken failed") && error.contains("undefined: none"), "{error}");
        let error = build(folder, "module broken\n\nrequire (\n", source).unwrap_err().to_string();
        assert!(error.contains("go.mod"), "{error}");
        assert!(!built.exists());
        build(folder, go_mod, source).unwrap();
        assert!(built.join("broken").is_file());
    }

    #[test]
    fn kubernetes_is_told_all_parts_of_its_version() {
        let flags = linker_flags(&KUBERNETES, "v1.37.2");
        for part in ["gitVersion=v1.37.2", "gitMajor=1", "gitMinor=37", "gitTreeState=archive"] {
            assert!(flags.contains(&format!(" -X k8s.io/component-base/version.{part}")), "{flags}");
        }
    }
}

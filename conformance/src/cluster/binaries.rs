//! Builds the servers, once for each state of the module that says how.

use super::{
    error::{ClusterError, tail},
    go,
};
use crate::lab::LabError;
use nix::fcntl::{Flock, FlockArg};
use std::{
    collections::BTreeMap,
    env,
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// The Go module: a main package, and `go.mod` and `go.sum` that fix every version, so that each build is the same.
const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/cluster/kubernetes");
/// The one program that all servers are.
const PROGRAM: &str = "kubeall";
/// The names that it is called by.
const SERVERS: [&str; 7] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
    "etcd",
];
/// How often a long build says how far it is.
const REPORT: Duration = Duration::from_secs(15);

/// A folder with every server under its usual name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    dir: PathBuf,
}

impl Binaries {
    /// Finds the servers in the cache (`$XDG_CACHE_HOME/palisade` or `~/.cache/palisade`), and builds them if they are not
    /// there: about 6 minutes on two idle cores, with a line on standard error every 15 seconds. Who comes meanwhile waits.
    ///
    /// # Errors
    /// [`ClusterError::NoGo`], [`ClusterError::Build`] with Go's last lines, [`ClusterError::NoCache`].
    pub fn ensure() -> Result<Self, ClusterError> {
        let module = Module::read(Path::new(MODULE))?;
        let cache = cache_folder().ok_or(ClusterError::NoCache)?;
        let dir = cache.join(&module.key);
        if dir.exists() {
            return Ok(Self { dir });
        }
        fs::create_dir_all(&cache).map_err(ClusterError::io(cache.display().to_string()))?;
        let lock = cache.join("lock");
        let file = File::create(&lock).map_err(ClusterError::io(lock.display().to_string()))?;
        let _lock = Flock::lock(file, FlockArg::LockExclusive)
            .map_err(|(_, e)| ClusterError::io(lock.display().to_string())(e.into()))?;
        // Somebody else may have built it while we waited.
        if !dir.exists() {
            module.build(&cache, &dir)?;
        }
        Ok(Self { dir })
    }

    /// The path of a server.
    #[must_use]
    pub fn path(&self, server: &str) -> PathBuf {
        self.dir.join(server)
    }
}

fn cache_folder() -> Option<PathBuf> {
    let set = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
    Some(base.join("palisade"))
}

/// What is built.
struct Module {
    dir: PathBuf,
    /// Tells one state of the sources from another.
    key: String,
    /// Such as `v1.37.2`.
    kubernetes: String,
    /// The oldest Go that it wants.
    go: String,
}

impl Module {
    fn read(dir: &Path) -> Result<Self, ClusterError> {
        let mut files = BTreeMap::new();
        let program = dir.join(PROGRAM);
        for folder in [dir, &program] {
            let entries = fs::read_dir(folder).map_err(ClusterError::io(folder.display().to_string()))?;
            for entry in entries {
                let path = entry.map_err(ClusterError::io(folder.display().to_string()))?.path();
                if path.is_file() {
                    let text = fs::read(&path).map_err(ClusterError::io(path.display().to_string()))?;
                    files.insert(path.strip_prefix(dir).unwrap_or(&path).to_owned(), text);
                }
            }
        }
        let requirements = files.get(Path::new("go.mod")).map(Vec::as_slice).unwrap_or_default();
        let requirements = String::from_utf8_lossy(requirements);
        let word_after = |start: &str| {
            let line = requirements.lines().find_map(|line| line.trim().strip_prefix(start));
            line.and_then(|rest| rest.split_whitespace().next()).unwrap_or_default().to_owned()
        };
        let (kubernetes, go) = (word_after("k8s.io/kubernetes "), word_after("go "));
        // Only to tell states apart: nobody is kept out by it.
        let mut hasher = DefaultHasher::new();
        files.hash(&mut hasher);
        let key = format!("kubernetes-{kubernetes}-{:016x}", hasher.finish());
        Ok(Self { dir: dir.to_owned(), key, kubernetes, go })
    }

    /// Builds beside the final place and renames, so that a build that ends half-way leaves nothing that looks whole.
    fn build(&self, cache: &Path, dir: &Path) -> Result<(), ClusterError> {
        let half = cache.join(format!("{}.building", self.key));
        let log = cache.join(format!("{}.log", self.key));
        // What an earlier attempt left.
        let _ = fs::remove_dir_all(&half);
        fs::create_dir_all(&half).map_err(ClusterError::io(half.display().to_string()))?;
        self.compile(&half.join(PROGRAM), &log)?;
        for server in SERVERS {
            let link = half.join(server);
            std::os::unix::fs::symlink(PROGRAM, &link)
                .map_err(ClusterError::io(link.display().to_string()))?;
        }
        fs::rename(&half, dir).map_err(ClusterError::io(dir.display().to_string()))
    }

    fn compile(&self, program: &Path, log: &Path) -> Result<(), ClusterError> {
        let no_log = || ClusterError::io(log.display().to_string());
        let mut output = File::create(log).map_err(no_log())?;
        let go = go::program(&self.go)?;
        let total = self.packages(&go)?;
        // Builds of people who work on this machine come first.
        let mut child = Command::new("nice")
            .args(["-n", "19"])
            .arg(&go)
            .args([
                "build",
                "-v",
                "-mod=readonly",
                "-buildvcs=false",
                "-trimpath",
                "-gcflags=all=-dwarf=false",
            ])
            .args(["-ldflags", &self.linker_flags(), "-o"])
            .arg(program)
            .arg(format!("./{PROGRAM}"))
            .current_dir(&self.dir)
            .env("CGO_ENABLED", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(ClusterError::io("nice"))?;
        let begin = Instant::now();
        let mut told = begin;
        eprintln!("building Kubernetes {} into {}", self.kubernetes, program.display());
        // One line a package as it is compiled (not for those that Go has kept), and what goes wrong.
        let lines = child.stderr.take().into_iter().flat_map(|stderr| BufReader::new(stderr).lines());
        for (packages, line) in lines.enumerate() {
            writeln!(output, "{}", line.map_err(no_log())?).map_err(no_log())?;
            if told.elapsed() > REPORT {
                told = Instant::now();
                let spent = begin.elapsed();
                let left = spent.as_secs() as usize * total.saturating_sub(packages) / packages.max(1);
                eprintln!(
                    "  {packages} of at most {total} packages in {} s, at most {left} s left",
                    spent.as_secs()
                );
            }
        }
        let status = child.wait().map_err(ClusterError::io("go build"))?;
        if status.success() {
            eprintln!("built Kubernetes {} in {} s", self.kubernetes, begin.elapsed().as_secs());
            return Ok(());
        }
        let text = fs::read_to_string(log).unwrap_or_default();
        Err(ClusterError::Build { what: PROGRAM, tail: tail(&text), log: log.to_owned() })
    }

    /// How many packages it is made of.
    fn packages(&self, go: &Path) -> Result<usize, ClusterError> {
        let mut command = Command::new(go);
        command
            .args(["list", "-mod=readonly", "-buildvcs=false", "-deps", &format!("./{PROGRAM}")])
            .current_dir(&self.dir);
        let output = command.output().map_err(|e| ClusterError::NoGo(e, self.go.clone()))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).lines().count());
        }
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(LabError::Command { command: "go list".to_owned(), message }.into())
    }

    /// Without debug data; with the version, which the servers tell and compare.
    fn linker_flags(&self) -> String {
        let minor = self.kubernetes.split('.').nth(1).unwrap_or_default();
        let facts = [("gitVersion", &*self.kubernetes), ("gitMajor", "1"), ("gitMinor", minor)];
        let mut flags = "-s -w".to_owned();
        for (name, value) in facts.into_iter().chain([("gitTreeState", "archive")]) {
            flags.push_str(&format!(" -X k8s.io/component-base/version.{name}={value}"));
        }
        flags
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_says_its_versions_and_another_module_has_another_key() {
        let module = Module::read(Path::new(MODULE)).unwrap();
        assert!(module.kubernetes.starts_with("v1."), "{}", module.kubernetes);
        assert!(module.go.starts_with("1."), "{}", module.go);
        assert!(module.linker_flags().contains(&format!("gitVersion={}", module.kubernetes)));

        let copy = std::env::temp_dir().join(format!("palisade-module-{}", std::process::id()));
        fs::create_dir_all(copy.join(PROGRAM)).unwrap();
        for file in ["go.mod", "go.sum", "kubeall/main.go"] {
            fs::copy(Path::new(MODULE).join(file), copy.join(file)).unwrap();
        }
        let same = Module::read(&copy).unwrap().key;
        fs::write(copy.join("kubeall/more.go"), "package main").unwrap();
        let other = Module::read(&copy).unwrap().key;
        fs::remove_dir_all(&copy).unwrap();
        assert_eq!(same, module.key, "the same sources elsewhere");
        assert_ne!(other, module.key, "one more source");
    }
}

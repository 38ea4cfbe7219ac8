//! Where built programs are kept.

use super::{
    compile,
    module::{MODULES, Module},
    recipe::Recipe,
};
use crate::cluster::ClusterError;
use nix::{
    fcntl::{Flock, FlockArg},
    sys::statvfs::statvfs,
};
use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
};

/// What a first build may take on the disk: Go's module and build caches, and the programs. Measured: 4.1 GB.
const ROOM: u64 = 6 << 30;

/// The folder of everything that was built.
///
/// # Errors
/// [`ClusterError::NoCache`].
pub(in crate::cluster) fn folder() -> Result<PathBuf, ClusterError> {
    let set = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    Ok(base.ok_or(ClusterError::NoCache)?.join("palisade"))
}

/// The folder with the programs of a recipe, which are built if they are not there. Who comes meanwhile waits.
///
/// # Errors
/// [`ClusterError::NoGo`], [`ClusterError::Build`] with Go's last lines, [`ClusterError::NoCache`], [`ClusterError::NoRoom`].
pub(in crate::cluster) fn ensure(recipe: &Recipe) -> Result<PathBuf, ClusterError> {
    let module = Module::read(Path::new(MODULES), recipe)?;
    let cache = folder()?;
    let dir = cache.join(&module.key);
    if dir.exists() {
        return Ok(dir);
    }
    let _lock = lock(&cache)?;
    // Somebody else may have built it while we waited.
    if !dir.exists() {
        require_room(&cache)?;
        compile::into_cache(recipe, &module, &cache, &dir)?;
    }
    Ok(dir)
}

/// Makes a file beside what was built, if it is not there; `make` puts it there whole. Who comes meanwhile waits.
///
/// # Errors
/// [`ClusterError::NoCache`], and what `make` fails with.
pub(in crate::cluster) fn once(
    file: &Path,
    make: impl FnOnce() -> Result<(), ClusterError>,
) -> Result<(), ClusterError> {
    if file.exists() {
        return Ok(());
    }
    let _lock = lock(&folder()?)?;
    if file.exists() { Ok(()) } else { make() }
}

/// Waits until nobody else changes the cache.
fn lock(cache: &Path) -> Result<Flock<File>, ClusterError> {
    fs::create_dir_all(cache).map_err(ClusterError::io(cache.display().to_string()))?;
    let lock = cache.join("lock");
    let file = File::create(&lock).map_err(ClusterError::io(lock.display().to_string()))?;
    Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, e)| ClusterError::io(lock.display().to_string())(e.into()))
}

/// A build that runs out of disk half-way says so in ways that nobody understands.
fn require_room(cache: &Path) -> Result<(), ClusterError> {
    let stat = statvfs(cache).map_err(|e| ClusterError::io(cache.display().to_string())(e.into()))?;
    let free = stat.blocks_available() * stat.fragment_size();
    if free < ROOM {
        return Err(ClusterError::NoRoom { folder: cache.to_owned(), free: free >> 20, needed: ROOM >> 20 });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        thread,
        time::Duration,
    };

    #[test]
    fn a_file_is_made_once_and_all_who_want_it_have_it() {
        let folder = tempfile::tempdir().unwrap();
        let (file, made) = (folder.path().join("image.tar"), AtomicUsize::new(0));
        let make = || {
            made.fetch_add(1, Ordering::SeqCst);
            let part = folder.path().join("image.tar.part");
            let written = fs::write(&part, "whole").and_then(|()| {
                // So that the others come meanwhile.
                thread::sleep(Duration::from_millis(20));
                fs::rename(&part, &file)
            });
            written.map_err(ClusterError::io("the file"))
        };
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    once(&file, make).unwrap();
                    assert_eq!(fs::read_to_string(&file).unwrap(), "whole");
                });
            }
        });
        assert_eq!(made.into_inner(), 1);
    }
}

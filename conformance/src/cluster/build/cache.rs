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
    fs::create_dir_all(&cache).map_err(ClusterError::io(cache.display().to_string()))?;
    let lock = cache.join("lock");
    let file = File::create(&lock).map_err(ClusterError::io(lock.display().to_string()))?;
    let _lock = Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, e)| ClusterError::io(lock.display().to_string())(e.into()))?;
    // Somebody else may have built it while we waited.
    if !dir.exists() {
        require_room(&cache)?;
        compile::into_cache(recipe, &module, &cache, &dir)?;
    }
    Ok(dir)
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

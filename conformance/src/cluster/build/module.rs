//! What a recipe is made from: the files of its module, their digest, the versions that they name.

use super::recipe::Recipe;
use crate::cluster::ClusterError;
use std::{
    collections::BTreeMap,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

/// Where the modules are.
pub(super) const MODULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/cluster");

/// A recipe's module as it is now.
pub(super) struct Module {
    pub(super) dir: PathBuf,
    /// The name of its folder in the cache: tells one state of the sources from another.
    pub(super) key: String,
    /// Such as `v1.37.2`; empty for what is ours.
    pub(super) version: String,
    /// The oldest Go that it wants.
    pub(super) go: String,
}

impl Module {
    /// Reads the module of a recipe in a folder of modules.
    pub(super) fn read(modules: &Path, recipe: &Recipe) -> Result<Self, ClusterError> {
        let dir = modules.join(recipe.module);
        let mut files = BTreeMap::new();
        let own = recipe.packages.iter().filter_map(|package| package.strip_prefix("./"));
        for folder in own.map(|own| dir.join(own)).chain([dir.clone()]) {
            read_files(&folder, &dir, &mut files)?;
        }
        let requirements = files.get(Path::new("go.mod")).cloned().unwrap_or_default();
        let requirements = String::from_utf8_lossy(&requirements);
        // What stands in for a module that is not to be had.
        for stand_in in requirements.lines().filter_map(|line| line.split_once("=> ./")) {
            read_tree(&dir.join(stand_in.1), &dir, &mut files)?;
        }
        let word_after = |start: &str| {
            // A single requirement stands on one line with its keyword.
            let lines = requirements.lines().map(|line| line.trim().trim_start_matches("require "));
            let rest = lines.filter_map(|line| line.strip_prefix(start)?.strip_prefix(' ')).next();
            rest.and_then(|rest| rest.split_whitespace().next()).unwrap_or_default().to_owned()
        };
        let version = recipe.upstream.map(word_after).unwrap_or_default();
        let go = word_after("go");
        // Only to tell states apart: nobody is kept out by it. Two programs of one module are two states.
        let mut hasher = DefaultHasher::new();
        (&files, recipe.packages).hash(&mut hasher);
        let key = [recipe.name, &version, &format!("{:016x}", hasher.finish())];
        let key = key.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
        Ok(Self { dir, key, version, go })
    }
}

/// The files of a folder and of those in it.
fn read_tree(folder: &Path, root: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) -> Result<(), ClusterError> {
    read_files(folder, root, files)?;
    let entries = fs::read_dir(folder).map_err(ClusterError::io(folder.display().to_string()))?;
    for entry in entries {
        let path = entry.map_err(ClusterError::io(folder.display().to_string()))?.path();
        if path.is_dir() {
            read_tree(&path, root, files)?;
        }
    }
    Ok(())
}

/// The files of a folder, but not those of its folders, by their paths below `root`.
fn read_files(
    folder: &Path,
    root: &Path,
    files: &mut BTreeMap<PathBuf, Vec<u8>>,
) -> Result<(), ClusterError> {
    let entries = fs::read_dir(folder).map_err(ClusterError::io(folder.display().to_string()))?;
    for entry in entries {
        let path = entry.map_err(ClusterError::io(folder.display().to_string()))?.path();
        if path.is_file() {
            let text = fs::read(&path).map_err(ClusterError::io(path.display().to_string()))?;
            files.insert(path.strip_prefix(root).unwrap_or(&path).to_owned(), text);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{
        super::recipe::{
            AGNHOST, CNI_FLANNEL, CNI_PLUGINS, COREDNS, CYCLONUS, CYCLONUS_ITSELF, FLANNELD, GINKGO, HELM,
            KUBE_ROUTER, KUBERNETES, NETPOL, PAUSE,
        },
        *,
    };

    #[test]
    fn every_recipe_names_a_module_that_says_its_version() {
        let all = [
            KUBERNETES,
            AGNHOST,
            NETPOL,
            GINKGO,
            PAUSE,
            CNI_PLUGINS,
            CNI_FLANNEL,
            FLANNELD,
            COREDNS,
            CYCLONUS,
            CYCLONUS_ITSELF,
            HELM,
            KUBE_ROUTER,
        ];
        for recipe in &all {
            let module = Module::read(Path::new(MODULES), recipe).unwrap();
            assert!(module.go.starts_with("1."), "{}: {}", recipe.name, module.go);
            let digits = module.version.strip_prefix('v').unwrap_or_default();
            assert_eq!(
                digits.contains('.'),
                recipe.upstream.is_some(),
                "{}: {}",
                recipe.name,
                module.version
            );
            assert!(module.key.starts_with(&format!("{}-", recipe.name)), "{}", module.key);
        }
    }

    #[test]
    fn another_state_of_the_sources_has_another_key() {
        let module = Module::read(Path::new(MODULES), &KUBERNETES).unwrap();
        let modules = std::env::temp_dir().join(format!("palisade-module-{}", std::process::id()));
        let copy = modules.join(KUBERNETES.module);
        fs::create_dir_all(copy.join("kubeall")).unwrap();
        for file in ["go.mod", "go.sum", "kubeall/main.go"] {
            fs::copy(module.dir.join(file), copy.join(file)).unwrap();
        }
        let same = Module::read(&modules, &KUBERNETES).unwrap().key;
        fs::write(copy.join("kubeall/more.go"), "package main").unwrap();
        let other = Module::read(&modules, &KUBERNETES).unwrap().key;
        fs::remove_dir_all(&modules).unwrap();
        assert_eq!(same, module.key, "the same sources elsewhere");
        assert_ne!(other, module.key, "one more source");
    }
}

//! What a program needs of this machine to start elsewhere.

use super::ImageError;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The shared libraries of a program, those of its libraries, and its loader, where they are on this machine. The loader itself
/// is asked (`ldd`), so that they are the ones that the program runs with here. None for a static program.
///
/// # Errors
/// [`ImageError::Libraries`] if one is missing here, or the file is no program.
pub fn of(program: &Path) -> Result<Vec<PathBuf>, ImageError> {
    let wrong = |why: String| ImageError::Libraries { program: program.to_owned(), why };
    let output = Command::new("ldd").arg(program).env("LC_ALL", "C").output();
    let output = output.map_err(|e| wrong(format!("ldd cannot be started: {e}")))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    if said.contains("statically linked") || complaint.contains("not a dynamic executable") {
        return Ok(Vec::new());
    }
    if !output.status.success() {
        return Err(wrong(complaint.trim().to_owned()));
    }
    read(&said).map_err(wrong)
}

/// Reads the lines of `ldd`; the error is the line of a library that is not there.
fn read(said: &str) -> Result<Vec<PathBuf>, String> {
    let mut libraries = Vec::new();
    for line in said.lines().map(str::trim) {
        let (name, place) = line.split_once(" => ").unwrap_or((line, line));
        if place.starts_with("not found") {
            return Err(format!("{name} is not on this machine"));
        }
        // What has no path is the kernel's own (linux-vdso).
        if let Some(path) = place.split(" (").next().filter(|path| path.starts_with('/')) {
            libraries.push(path.into());
        }
    }
    Ok(libraries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_the_loader_are_read_and_what_the_kernel_gives_is_not() {
        let said = "\tlinux-vdso.so.1 (0x00007ffd5b1f2000)\n\
                    \tlibmnl.so.0 => /lib/x86_64-linux-gnu/libmnl.so.0 (0x00007f1c)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f1d)\n";
        let expected: [PathBuf; 2] =
            ["/lib/x86_64-linux-gnu/libmnl.so.0".into(), "/lib64/ld-linux-x86-64.so.2".into()];
        assert_eq!(read(said).unwrap(), expected);
        assert_eq!(read("\tlibx.so.1 => not found\n").unwrap_err(), "libx.so.1 is not on this machine");
    }

    #[test]
    fn this_program_needs_a_loader_and_a_file_that_is_none_needs_nothing() {
        let libraries = of(&std::env::current_exe().unwrap()).unwrap();
        assert!(libraries.iter().any(|path| path.to_string_lossy().contains("/ld-")), "{libraries:?}");
        assert!(libraries.iter().all(|path| path.is_file()), "{libraries:?}");
        assert!(of("/nonexistent".as_ref()).is_err());
    }
}

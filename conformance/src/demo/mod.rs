//! `cargo demo`: a small company on two nodes, with a real `policyd` on each, told as a story.
//!
//! The company is `testdata/company`. Its manifests are copied into a folder of the lab, and that folder is all that
//! `policyd` is given. The demo changes the files in it and asks the whole network after every change: each answer is
//! compared with the reference verdict of the model. It ends with the machine as it was.

mod changes;
mod checks;
mod ending;
mod error;
mod flows;
mod folder;
mod host;
mod keep;
mod matrix;
mod parties;
mod screen;
mod stage;
mod table;

pub use checks::Checks;
pub use error::DemoError;
pub use keep::{Kept, Servers};
pub use screen::Screen;

use flows::Bystander;
use folder::Folder;
use host::Host;
use stage::Stage;
use std::path::Path;

/// Runs it for the company in a folder with `manifests/` and `tests.yaml`, and counts in `checks` what was compared. With
/// `keep`, the lab and its `policyd`s are left up at the end.
///
/// # Errors
/// [`DemoError`] if it cannot go on. Whatever it made is gone then; a check that failed is no error.
pub fn run(
    company: &Path,
    keep: bool,
    screen: &mut Screen<'_>,
    checks: &mut Checks,
) -> Result<Option<Kept>, DemoError> {
    let host = Host::read()?;
    let (mut stage, scenario) = Stage::raise(company, screen)?;

    screen.heading("Without policies everyone reaches everyone");
    stage.show_matrix(screen, checks)?;

    screen.heading("The company's policies come into the folder");
    let commits = stage.follow(Folder::add_policies)?;
    screen.paragraph(4, &format!("{} NetworkPolicies", stage.cluster.policies().len()));
    stage::tell_commits(screen, &commits);
    stage.show_matrix(screen, checks)?;
    stage.expectations(&scenario, screen, checks)?;

    let bystander = Bystander::start(&stage)?;
    for change in &changes::CHANGES {
        changes::tell(change, &mut stage, screen, checks)?;
    }
    flows::tell_address_reused(&mut stage, screen, checks)?;
    flows::tell_revoked(&mut stage, screen, checks)?;
    changes::tell_broken(&mut stage, screen, checks)?;
    bystander.end(screen, checks);

    ending::undo(&mut stage, &scenario.cluster, screen, checks)?;
    ending::verify(&mut stage, screen, checks)?;
    if keep {
        return keep::keep(stage).map(Some);
    }
    ending::take_down(stage, &host, screen, checks)?;
    Ok(None)
}

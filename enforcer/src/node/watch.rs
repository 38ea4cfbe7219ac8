//! Follows the host: links, addresses, br_netfilter's switches and CNI's result files.

use super::{cni_cache::CniCache, facts::Facts, rtnl::LinkMonitor};
use crate::folder_watch::{FolderWatch, Seen};
use std::{
    io,
    path::Path,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::Duration,
};
use tracing::error;

/// Nobody tells of a sysctl that changes, so the host is read again this often in any case.
const EVERY: Duration = Duration::from_secs(10);

enum News {
    Links,
    Files(Seen),
}

/// Reads the host once and returns that reading; later ones, each different from the one before, go to `report`, until it
/// returns `false`.
///
/// # Errors
/// The host cannot be read, or the kernel gives no watch.
pub fn follow(cni_dir: &Path, report: impl Fn(Facts) -> bool + Send + 'static) -> io::Result<Facts> {
    let mut cache = CniCache::new(cni_dir);
    // Watches first, so that no change between a reading and its watch is lost.
    let files = FolderWatch::new(cache.folder())?;
    let links = LinkMonitor::open()?;
    cache.update(&Seen::Everything);
    let first = read(&cache)?;

    let (sender, receiver) = mpsc::channel();
    watch_files(files, sender.clone())?;
    watch_links(links, sender)?;
    let last = first.clone();
    thread::Builder::new().name("host".into()).spawn(move || run(&mut cache, &receiver, last, report))?;
    Ok(first)
}

/// One reading of the host and of CNI's files.
///
/// # Errors
/// The kernel does not answer over rtnetlink.
pub fn read_once(cni_dir: &Path) -> io::Result<Facts> {
    let mut cache = CniCache::new(cni_dir);
    cache.update(&Seen::Everything);
    read(&cache)
}

fn read(cache: &CniCache) -> io::Result<Facts> {
    Ok(Facts { attachments: cache.attachments(), ..Facts::read()? })
}

fn watch_files(mut watch: FolderWatch, news: Sender<News>) -> io::Result<()> {
    let follow = move || {
        loop {
            match watch.wait(None) {
                Ok(Some((seen, _))) => {
                    if news.send(News::Files(seen)).is_err() {
                        return;
                    }
                }
                Ok(None) => {}
                // Without a watch the files are still read again now and then.
                Err(error) => return error!(%error, "CNI's results cannot be watched"),
            }
        }
    };
    thread::Builder::new().name("cni-files".into()).spawn(follow).map(drop)
}

fn watch_links(monitor: LinkMonitor, news: Sender<News>) -> io::Result<()> {
    let follow = move || {
        loop {
            if let Err(error) = monitor.wait() {
                return error!(%error, "links cannot be watched");
            }
            if news.send(News::Links).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("links".into()).spawn(follow).map(drop)
}

fn run(cache: &mut CniCache, news: &Receiver<News>, mut last: Facts, report: impl Fn(Facts) -> bool) {
    loop {
        let first = match news.recv_timeout(EVERY) {
            Ok(first) => Some(first),
            Err(RecvTimeoutError::Timeout) => {
                cache.update(&Seen::Everything);
                None
            }
            // Both watches have ended.
            Err(RecvTimeoutError::Disconnected) => {
                thread::sleep(EVERY);
                cache.update(&Seen::Everything);
                None
            }
        };
        for news in first.into_iter().chain(news.try_iter()) {
            if let News::Files(seen) = news {
                cache.update(&seen);
            }
        }
        match read(cache) {
            Ok(facts) if facts != last => {
                last = facts.clone();
                if !report(facts) {
                    return;
                }
            }
            Ok(_) => {}
            Err(error) => error!(%error, "the host cannot be read"),
        }
    }
}

//! What runs under callgrind: every event in a thread of its own, for callgrind counts each thread by itself. No function has
//! to be known by its name, so that the program may be stripped.

use super::{
    cluster::{NODE, Size, changes},
    happening::HAPPENINGS,
};
use compiler::{Compiler, Event, config::Config};
use policy_model::cluster::Change;
use std::{
    error::Error,
    sync::{
        Mutex, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

/// How often each event happens.
pub(super) const ROUNDS: usize = 20;

/// What the first thread that counts does.
pub(super) const FROM_NOTHING: &str = "compile from nothing";

/// What the thread is called that does nothing but what all of them do: it is taken off each of them.
pub(super) const NOTHING: &str = "nothing";

/// Prints the name of each thread in the order of their start, in which callgrind numbers them, from 2 on.
pub(super) fn run(size: &Size) -> Result<(), Box<dyn Error>> {
    let compiler = Mutex::new(Compiler::new(Config::new(NODE, "cni0")));
    thread::scope(|scope| {
        let (done, is_done) = mpsc::channel();
        let mut workers: Vec<Sender<Vec<Change>>> = Vec::new();
        // All of them wait until the last one has done its work: the number of one that has ended would be given again.
        let mut start = |name: &str| {
            let (sender, work) = mpsc::channel();
            let (compiler, done) = (&compiler, done.clone());
            scope.spawn(move || work_off(&work, compiler, &done));
            println!("{name}");
            workers.push(sender);
        };
        let steps = HAPPENINGS.iter().flat_map(|happening| happening(size, 0)).map(|(name, _)| name);
        [NOTHING, FROM_NOTHING].into_iter().chain(steps).for_each(&mut start);
        let ask = |worker: usize, changes: Vec<Change>| {
            workers[worker].send(changes)?;
            is_done.recv()?;
            Ok::<_, Box<dyn Error>>(())
        };
        ask(1, changes(size))?;
        for n in 0..ROUNDS {
            ask(0, Vec::new())?;
            let steps = HAPPENINGS.iter().flat_map(|happening| happening(size, n));
            steps.enumerate().try_for_each(|(step, (_, change))| ask(2 + step, vec![change]))?;
        }
        Ok(())
    })
}

/// Takes in what it is given and commits it, until nothing waits to be removed.
fn work_off(work: &Receiver<Vec<Change>>, compiler: &Mutex<Compiler>, done: &Sender<()>) {
    for changes in work {
        if !changes.is_empty() {
            let mut compiler = compiler.lock().unwrap_or_else(PoisonError::into_inner);
            changes.into_iter().for_each(|change| compiler.apply(Event::Cluster(change)));
            let _ = compiler.commit();
            while !compiler.settled() {
                let _ = compiler.commit();
            }
        }
        if done.send(()).is_err() {
            return;
        }
    }
}

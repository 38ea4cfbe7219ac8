//! What the compiler makes of random clusters, held by a real kernel: what is read back is the IR to the last element, and
//! the reach of every local pod rebuilt from it is the model's, for all packets.

use compiler::{
    Compiler, Event,
    config::{Config, Costs, Guards, Port},
    reach::reach,
    skeleton::Orientation,
};
use enforcer::nft::{Backend, Kernel};
use nix::sched::{CloneFlags, unshare};
use policy_model::{
    cluster::{Change, Cluster},
    object::Pod,
    policy::Direction,
    strategies,
};
use proptest::{prelude::*, test_runner::TestRunner};
use std::thread;

const NODE: &str = "w1";

/// Runs a test in a network namespace of its own.
fn in_namespace(test: impl FnOnce() + Send) {
    let run = || {
        unshare(CloneFlags::CLONE_NEWNET)
            .expect("this test changes nftables in a network namespace of its own: run it as root");
        test();
    };
    thread::scope(|scope| {
        if let Err(panic) = scope.spawn(run).join() {
            std::panic::resume_unwind(panic);
        }
    });
}

fn costs() -> impl Strategy<Value = Costs> {
    (0u32..4, 0usize..3, 0u64..4).prop_map(|(exact_ports, shared_programs, shared_elements)| Costs {
        exact_ports,
        shared_programs,
        shared_elements,
    })
}

/// The interface of a local pod, as its libcni result tells.
fn port(pod: &Pod, index: u8) -> Port {
    Port {
        id: format!("container-of-{}", pod.key).into(),
        pod: pod.key.clone(),
        ifindex: 100 + u32::from(index),
        mac: [2, 0, 0, 0, 0, index],
        addresses: pod.ips.to_vec(),
    }
}

fn is_local(pod: &&Pod) -> bool {
    pod.is_policed() && pod.node.as_deref() == Some(NODE)
}

fn reaches_are_the_models(kernel: &compiler::ir::Ruleset, cluster: &Cluster) -> Result<(), TestCaseError> {
    for pod in cluster.pods().filter(is_local) {
        for &address in &pod.ips {
            for direction in Direction::BOTH {
                let model = cluster.reach_of_address(address, direction);
                for orientation in Orientation::BOTH {
                    let held = reach(kernel, address, direction, orientation);
                    prop_assert_eq!(held.as_ref(), Ok(&model), "{} {} {:?}", address, direction, orientation);
                }
            }
        }
    }
    Ok(())
}

/// Every change is committed by itself, and guards are switched meanwhile; in the end, and now and then before, the kernel is read back.
fn hold(costs: Costs, changes: Vec<Change>) -> Result<(), TestCaseError> {
    let mut backend = Kernel::open().expect("a socket");
    let settings = |guards| Config { costs, guards, ..Config::new(NODE, "cni0") };
    let mut compiler = Compiler::new(settings(Guards::ALL));
    let mut cluster = Cluster::new();
    let mut ports = 0u8;
    let last = changes.len();
    for (n, change) in changes.into_iter().enumerate() {
        cluster.apply(change.clone());
        if let Change::Pod(pod) = &change
            && is_local(&pod)
        {
            ports += 1;
            compiler.apply(Event::Port(port(pod, ports)));
        }
        compiler.apply(Event::Cluster(change));
        if n % 4 == 3 {
            let [overlay, sources, routers, ethertypes] = [0, 1, 2, 3].map(|bit| (n / 4) >> bit & 1 == 0);
            compiler.set_config(settings(Guards { overlay, sources, routers, ethertypes }));
        }
        let delta = compiler.commit();
        backend.commit(&delta, None).map_err(|e| TestCaseError::fail(format!("{e}\n{delta:#?}")))?;
        if n + 1 == last || n % 8 == 7 {
            let dump = backend.dump().expect("the tables are readable");
            prop_assert_eq!(&dump.foreign, &[]);
            let json = serde_json::to_string(&dump.ruleset).expect("JSON");
            let read: compiler::ir::Ruleset = serde_json::from_str(&json).expect("the same ruleset");
            prop_assert!(read == dump.ruleset, "what /v1/kernel answers is what was read: {}", json);
            prop_assert!(
                dump.ruleset == *compiler.ruleset(),
                "{:#?}",
                compiler::delta::diff(&dump.ruleset, compiler.ruleset())
            );
        }
    }
    Ok(())
}

#[test]
fn what_the_kernel_holds_is_the_ir_after_every_change() {
    in_namespace(|| {
        let mut runner = TestRunner::new(ProptestConfig::with_cases(24));
        let result = runner.run(&(costs(), strategies::changes(40)), |(costs, changes)| {
            let mut held = Ok(());
            in_namespace(|| held = hold(costs, changes));
            held
        });
        result.expect("every ruleset");
    });
}

#[test]
fn reaches_rebuilt_from_the_kernel_are_the_models() {
    let mut runner = TestRunner::new(ProptestConfig::with_cases(48));
    let result = runner.run(&(costs(), strategies::cluster()), |(costs, cluster)| {
        let mut held = Ok(());
        in_namespace(|| {
            let mut compiler = Compiler::new(Config { costs, ..Config::new(NODE, "cni0") });
            cluster.changes().for_each(|change| compiler.apply(Event::Cluster(change)));
            let mut backend = Kernel::open().expect("a socket");
            held = backend
                .commit(&compiler.commit(), None)
                .map_err(|e| TestCaseError::fail(e.to_string()))
                .and_then(|_| reaches_are_the_models(&backend.dump().expect("readable").ruleset, &cluster));
        });
        held
    });
    result.expect("every cluster");
}

//! The log: to standard error, so that output can be piped.

use super::LogFormat;
use std::{
    env,
    io::{self, IsTerminal},
};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{Layer, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// `RUST_LOG` (`target=level,…`) says more precisely what `-v` says roughly.
pub(super) fn start(format: LogFormat, verbose: u8) {
    let set = env::var("RUST_LOG").ok().and_then(|directives| directives.parse().ok());
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_target(false).with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    tracing_subscriber::registry().with(lines).with(set.unwrap_or_else(|| usual(verbose))).init();
}

fn usual(verbose: u8) -> Targets {
    // What kube would say of each failed request is said once by whoever made the request.
    let (level, kube) = match verbose {
        0 => (LevelFilter::INFO, LevelFilter::OFF),
        1 => (LevelFilter::DEBUG, LevelFilter::OFF),
        _ => (LevelFilter::TRACE, LevelFilter::TRACE),
    };
    Targets::new().with_default(level).with_target("kube_client", kube)
}

//! The log: to standard error, so that output can be piped.

use super::LogFormat;
use std::io;
use tracing_subscriber::EnvFilter;

/// `RUST_LOG` says more precisely what `-v` says roughly.
pub(super) fn start(format: LogFormat, verbose: u8) {
    // What kube would say of each failed request is said once by whoever made the request.
    let directives = ["info,kube_client=off", "debug,kube_client=off", "trace"][usize::from(verbose.min(2))];
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(directives));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => {
            builder.with_target(false).with_ansi(io::IsTerminal::is_terminal(&io::stderr())).init()
        }
        LogFormat::Json => builder.json().init(),
    }
}

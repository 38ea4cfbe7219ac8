//! `policyctl`: what NetworkPolicies allow, why, and what to change. See the library for everything.

fn main() -> std::process::ExitCode {
    policyctl::cli::main()
}

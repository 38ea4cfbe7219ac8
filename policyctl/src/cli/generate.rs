//! `policyctl generate`.

use super::{CliError, Exit, Styles, args::Common, session::Session};
use crate::{
    endpoint::{Endpoint, Ports, Target},
    generate::{
        self, Generated,
        from_matrix::{self, Wanted},
        template,
    },
    input::{Source, Warning},
};
use clap::{Args, Subcommand, ValueEnum};
use ipnet::IpNet;
use policy_model::{
    manifest::limits,
    policy::{Direction, Peer, PolicyPort, PortMatch},
    selector::Selector,
};
use std::{
    fs::File,
    io::{self, Read, Write},
};

/// Policies for common ends, or least privilege from a list of wanted connections
///
/// Writes YAML to standard output; nothing is applied. -n says for which namespace.
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:
  policyctl generate default-deny -n shop
  policyctl generate dns -n shop --node-local 10.96.0.10
  policyctl generate database-isolation -n shop --database app=db --clients app=api --port 5432
  policyctl matrix -R -f manifests -o json > wanted.json    # edit, then:
  policyctl generate --from-matrix wanted.json -R -f manifests > policies.yaml

--from-matrix: exit code 1 if no policies do exactly what is wanted."
)]
pub(super) struct GenerateArgs {
    /// Wanted connections, as `matrix -o json` writes them (- for standard input); all else is denied
    #[arg(long, value_name = "FILE")]
    from_matrix: Option<Source>,
    #[command(subcommand)]
    template: Option<Template>,
}

#[derive(Debug, Subcommand)]
enum Template {
    /// Isolate every pod of a namespace
    DefaultDeny {
        /// In which direction
        #[arg(long, value_enum, default_value_t, value_name = "WHICH")]
        direction: Which,
    },
    /// Pods of a namespace are reached by each other only
    NamespaceIsolation {
        /// Namespaces whose pods may come in
        #[arg(long, value_name = "NS", value_delimiter = ',')]
        from_namespaces: Vec<String>,
    },
    /// A database is reached by its clients on its port only, and opens nothing
    DatabaseIsolation {
        /// Labels of the database's pods
        #[arg(long, value_name = "SELECTOR", value_parser = selector)]
        database: Selector,
        /// Labels of clients, or `NS/[SELECTOR]` for those of another namespace; may be given more than once
        #[arg(long, value_name = "SELECTOR", required = true)]
        clients: Vec<String>,
        /// Its port: 5432, 5432/TCP, 8000-8100/UDP or a name
        #[arg(long, value_name = "PORT", required = true, value_parser = port)]
        port: Vec<PolicyPort>,
    },
    /// What pods reach outside the cluster
    ExternalControl {
        /// Labels of the pods; all of the namespace without it
        #[arg(long, value_name = "SELECTOR", value_parser = selector, default_value = "", hide_default_value = true)]
        pods: Selector,
        /// A block that may be reached, or internet for every address; nothing outside without it
        #[arg(long, value_name = "CIDR", value_delimiter = ',')]
        allow: Vec<String>,
        /// On which ports; all without it
        #[arg(long, value_name = "PORT", value_parser = port)]
        port: Vec<PolicyPort>,
    },
    /// Pods may ask the cluster's DNS
    Dns {
        /// Labels of the pods; all of the namespace without it
        #[arg(long, value_name = "SELECTOR", value_parser = selector, default_value = "", hide_default_value = true)]
        pods: Selector,
        /// NodeLocal DNSCache answers: the address of the kube-dns Service, at which it listens too
        #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
        node_local: Vec<std::net::IpAddr>,
    },
    /// Pods are reached by the ingress controller only
    IngressControllerOnly {
        /// Labels of the pods; all of the namespace without it
        #[arg(long, value_name = "SELECTOR", value_parser = selector, default_value = "", hide_default_value = true)]
        pods: Selector,
        /// Where the controller is
        #[arg(long, value_name = "NS", default_value = "ingress-nginx")]
        controller_namespace: String,
        /// Labels of the controller's pods; all of its namespace without it
        #[arg(long, value_name = "SELECTOR", value_parser = selector, default_value = "", hide_default_value = true)]
        controller: Selector,
        /// On which ports of the pods; all without it
        #[arg(long, value_name = "PORT", value_parser = port)]
        port: Vec<PolicyPort>,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Which {
    #[default]
    Both,
    Ingress,
    Egress,
}

pub(super) fn run(
    common: Common,
    styles: Styles,
    args: &GenerateArgs,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit, CliError> {
    match (&args.from_matrix, &args.template) {
        (Some(_), Some(_)) => Err(CliError::Usage {
            message: "a template and --from-matrix do not go together",
            help: "give one of the two; policies of several runs add up",
        }),
        (Some(list), None) => of_list(common, styles, list, out, err),
        (None, Some(template)) => {
            let namespace = common.namespace.as_deref().unwrap_or("default");
            write!(out, "{}", generate::to_yaml(&of_template(namespace, template)?))?;
            Ok(Exit::Allowed)
        }
        (None, None) => Err(CliError::Usage {
            message: "nothing to generate",
            help: "name a template, or give --from-matrix FILE; see policyctl generate --help",
        }),
    }
}

fn of_list(
    common: Common,
    styles: Styles,
    list: &Source,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit, CliError> {
    if *list == Source::Stdin && common.files.contains(&Source::Stdin) {
        return Err(CliError::Usage {
            message: "standard input cannot be both the list and the manifests",
            help: "give one of them as a file",
        });
    }
    let mut session = Session::open(common, styles)?;
    // Policies are what this is to make.
    session.snapshot.warnings.retain(|warning| *warning != Warning::NoPolicies);
    let refused = |message: String| CliError::List { file: list.to_string(), message };
    let wanted = Wanted::parse(&read(list).map_err(refused)?).map_err(|error| refused(error.to_string()))?;
    session.tell(err)?;
    match from_matrix::from_matrix(&session.snapshot, &wanted) {
        Ok(policies) => {
            writeln!(
                out,
                "# Made by policyctl generate --from-matrix, in place of the policies that are there. Evaluated again: equal to the list."
            )?;
            if policies.is_empty() {
                writeln!(out, "# Everything is wanted, so there is no policy.")?;
            }
            write!(out, "{}", generate::to_yaml(&policies))?;
            Ok(session.exit(Exit::Allowed))
        }
        Err(error @ from_matrix::FromMatrixError::NoWorkload { .. }) => Err(CliError::FromMatrix(error)),
        Err(error) => {
            super::error::report(&CliError::FromMatrix(error), styles.err, err)?;
            Ok(session.exit(Exit::Denied))
        }
    }
}

/// Reads no more than a manifest may have.
fn read(list: &Source) -> Result<String, String> {
    let mut bytes = Vec::new();
    let limit = limits::BYTES as u64 + 1;
    let count = match list {
        Source::Stdin => io::stdin().lock().take(limit).read_to_end(&mut bytes),
        Source::Path(path) => File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)),
    };
    let count = count.map_err(|error| format!("cannot be read: {error}"))?;
    if count > limits::BYTES {
        return Err(format!("it is larger than {} MiB", limits::BYTES >> 20));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

fn of_template(namespace: &str, template: &Template) -> Result<Vec<Generated>, CliError> {
    Ok(match template {
        Template::DefaultDeny { direction } => {
            let directions = match direction {
                Which::Both => &Direction::BOTH[..],
                Which::Ingress => &[Direction::Ingress],
                Which::Egress => &[Direction::Egress],
            };
            template::default_deny(namespace, directions)
        }
        Template::NamespaceIsolation { from_namespaces } => {
            template::namespace_isolation(namespace, from_namespaces)
        }
        Template::DatabaseIsolation { database, clients, port } => {
            let clients: Vec<Peer> = clients.iter().map(|text| client(text)).collect::<Result<_, _>>()?;
            template::database_isolation(namespace, database, &clients, port)
        }
        Template::ExternalControl { pods, allow, port } => {
            let mut blocks = Vec::new();
            for text in allow {
                match text.as_str() {
                    "internet" => blocks.extend(template::everywhere()),
                    block => blocks.push(cidr(block)?),
                }
            }
            template::external_control(namespace, pods, &blocks, port)
        }
        Template::Dns { pods, node_local } => {
            let services: Vec<IpNet> = node_local.iter().map(|address| IpNet::from(*address)).collect();
            template::dns(namespace, pods, (!services.is_empty()).then_some(&services[..]))
        }
        Template::IngressControllerOnly { pods, controller_namespace, controller, port } => {
            template::ingress_controller_only(namespace, pods, controller_namespace, controller, port)
        }
    })
}

/// `app=api` of the own namespace, or `ns/[app=api]`, `ns/*`.
fn client(text: &str) -> Result<Peer, CliError> {
    if !text.contains("/[") && !text.ends_with("/*") {
        let pods = selector(text).map_err(|message| CliError::Flag { flag: "--clients", message })?;
        return Ok(Peer::Pods { namespaces: None, pods });
    }
    match text.parse() {
        Ok(Endpoint::Selected { namespace, selector }) => Ok(Peer::Pods {
            namespaces: Some(
                namespace
                    .map_or_else(Selector::everything, |name| template::in_namespaces(&[name.to_string()])),
            ),
            pods: selector,
        }),
        Ok(_) => Err(CliError::Flag {
            flag: "--clients",
            message: format!("`{text}` is no selector; write app=api, or ns/[app=api]"),
        }),
        Err(error) => Err(CliError::Flag { flag: "--clients", message: error.to_string() }),
    }
}

fn cidr(text: &str) -> Result<IpNet, CliError> {
    match text.parse() {
        Ok(Endpoint::Block(block)) => Ok(block),
        Ok(Endpoint::Address(address)) => Ok(IpNet::from(address)),
        Ok(_) => Err(CliError::Flag {
            flag: "--allow",
            message: format!("`{text}` is no block; write 203.0.113.0/24, or internet"),
        }),
        Err(error) => Err(CliError::Flag { flag: "--allow", message: error.to_string() }),
    }
}

/// In the syntax of `kubectl -l`.
fn selector(text: &str) -> Result<Selector, String> {
    if text.is_empty() {
        return Ok(Selector::everything());
    }
    match format!("default/[{text}]").parse() {
        Ok(Endpoint::Selected { selector, .. }) => Ok(selector),
        Ok(_) => Err(format!("`{text}` is no selector")),
        Err(error) => Err(error.to_string()),
    }
}

/// As after a destination: `5432`, `53/UDP`, `8000-8100/TCP`, `http`.
fn port(text: &str) -> Result<PolicyPort, String> {
    let target: Target = format!("default/pod:{text}")
        .parse()
        .map_err(|error: crate::endpoint::EndpointError| error.to_string())?;
    match target.ports {
        Ports::Range(protocol, lo, hi) => Ok(PolicyPort { protocol, port: PortMatch::Range(lo, hi) }),
        Ports::Named(protocol, name) => Ok(PolicyPort { protocol, port: PortMatch::Named(name) }),
        Ports::All(_) | Ports::Everything => Err(format!("`{text}` is no port")),
    }
}

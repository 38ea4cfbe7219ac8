//! Fuzz target of the HTTP interface: whatever bytes come, the server answers or closes, never panics, and answers the next one.
//! `cargo test` runs it on random input, of which some are good requests with bytes changed and queries of any text;
//! `cargo dev fuzz requests` searches with coverage.

use enforcer::observe::{http, metrics::Metrics};
use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    panic,
    sync::{
        Arc, Once,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

const GOOD: [&str; 3] = [
    "GET /v1/verdict?source=10.244.1.2&destination=10.244.1.3&protocol=TCP&port=80 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /metrics HTTP/1.1\r\nHost: a\r\nAccept: text/plain\r\nConnection: close\r\n\r\n",
    "POST /v1/kernel HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
];

/// Bytes that are put over others, by place.
type Edits = Vec<(u16, u8)>;

fn edited(good: &str, edits: &Edits) -> Vec<u8> {
    let mut bytes = good.as_bytes().to_vec();
    for &(place, byte) in edits {
        let place = usize::from(place) % bytes.len();
        bytes[place] = byte;
    }
    bytes
}

/// What the server says to these bytes. After them nothing more comes, if `ends`: then it need not answer. It may close before it
/// has read all.
fn answer(address: SocketAddr, request: &[u8], ends: bool) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    stream.write_all(request).ok();
    if ends {
        stream.shutdown(Shutdown::Write).ok();
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    answer
}

/// A server on the loopback device whose loop is busy ending: it takes questions and answers none.
fn serve() -> SocketAddr {
    let (address, known) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = http::listen("127.0.0.1:0".parse().expect("an address")).await.expect("a port");
            address.send(listener.local_addr().expect("its address")).expect("somebody waits");
            let (inputs, questions) = mpsc::channel();
            thread::spawn(move || questions.into_iter().for_each(drop));
            http::serve(listener, Arc::new(Metrics::new()), inputs).await.expect("it serves");
        });
    });
    known.recv().expect("it listens")
}

#[test]
fn requests_never_panic() {
    // In a task of its own a panic would end a connection here, and the whole of policyd in a release.
    static PANICKED: AtomicBool = AtomicBool::new(false);
    static WATCH: Once = Once::new();
    let address = serve();
    let healthy = |address| {
        let answer = answer(address, b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false);
        answer.starts_with(b"HTTP/1.1 200")
    };
    assert!(healthy(address));
    bolero::check!().with_type::<(Vec<u8>, Edits, String)>().for_each(|(random, edits, text)| {
        // By now bolero has a hook of its own, which is called after this one.
        WATCH.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                PANICKED.store(true, Ordering::SeqCst);
                before(info);
            }));
        });
        answer(address, random, true);
        for good in GOOD {
            answer(address, &edited(good, edits), true);
        }
        let line: String = text.chars().filter(|c| !c.is_control() && *c != ' ').collect();
        answer(
            address,
            format!("GET /v1/verdict?{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes(),
            true,
        );
        assert!(healthy(address) && !PANICKED.load(Ordering::SeqCst), "{random:?} {edits:?} {text:?}");
    });
}

//! Upstreams whose names a real name server answers.

mod name_server;

use std::io::Write;
use std::path::Path;

use hickory_resolver::proto::op::ResponseCode;
use portcullis_config::model::{Endpoint, UpstreamProtocol, UpstreamTimeouts};
use portcullis_config::problem::Location;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::lookup::Lookup;
use super::*;
use name_server::{NameServer, Says};

const FAST: Duration = Duration::from_millis(20);
const NEVER: Duration = Duration::from_secs(3600);
const ORIGIN: UpstreamId = UpstreamId(0);

/// What an observer was told, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Same,
    Changed(Vec<IpAddr>),
    Failed,
}

/// A resolver whose outcomes can be awaited.
fn resolver() -> (Arc<Resolver>, mpsc::Receiver<(String, Seen)>) {
    let (tell, told) = mpsc::channel(10_000);
    let resolver = Resolver::new(Handle::current(), move |name, outcome| {
        let seen = match outcome {
            LookupOutcome::Same => Seen::Same,
            LookupOutcome::Changed(addresses) => Seen::Changed(addresses.to_vec()),
            LookupOutcome::Failed(_) => Seen::Failed,
        };
        // The last outcomes of a test may find nobody listening.
        let _ = tell.try_send((name.to_owned(), seen));
    });
    (resolver, told)
}

async fn wait_for(
    told: &mut mpsc::Receiver<(String, Seen)>,
    wanted: impl Fn(&Seen) -> bool,
) -> Seen {
    let search = async {
        loop {
            let (_, seen) = told.recv().await.expect("the resolver lives");
            if wanted(&seen) {
                return seen;
            }
        }
    };
    timeout(Duration::from_secs(10), search)
        .await
        .expect("an outcome of that kind")
}

/// `name:port` or `address:port`, IPv6 in brackets.
fn upstream(endpoints: &[&str]) -> Upstream {
    let at = Location::whole(Path::new("test.yaml"));
    let endpoints = endpoints.iter().map(|endpoint| {
        let (host, port) = endpoint.rsplit_once(':').unwrap();
        let host = match host.trim_matches(['[', ']']).parse() {
            Ok(ip) => EndpointHost::Address(ip),
            Err(_) => EndpointHost::Name(host.to_owned()),
        };
        Endpoint {
            host,
            port: port.parse().unwrap(),
            at: at.clone(),
        }
    });
    let second = Duration::from_secs(1);
    Upstream {
        name: "origin".to_owned(),
        endpoints: endpoints.collect(),
        protocol: UpstreamProtocol::H1,
        timeouts: UpstreamTimeouts {
            connect: second,
            read: second,
            write: second,
            idle: second,
        },
        at: at.clone(),
    }
}

fn dns(server: &NameServer, refresh: Duration) -> Dns {
    Dns {
        servers: vec![server.address],
        refresh,
    }
}

fn picks(upstreams: &Upstreams, count: usize) -> Vec<String> {
    (0..count)
        .map(|_| upstreams.pick(ORIGIN).unwrap().address.to_string())
        .collect()
}

#[tokio::test]
async fn every_address_of_every_endpoint_has_its_turn() {
    let server = NameServer::start().await;
    server.has("a.test", &["10.0.0.2", "10.0.0.1", "::1", "10.0.0.2"]);
    let (resolver, _told) = resolver();
    let upstream = upstream(&["a.test:80", "192.0.2.1:81", "[2001:db8::1]:82"]);
    let upstreams = Upstreams::with_parts(&[upstream], &dns(&server, NEVER), &resolver);
    upstreams.resolved().await;
    let all = [
        "10.0.0.1:80",
        "10.0.0.2:80",
        "[::1]:80",
        "192.0.2.1:81",
        "[2001:db8::1]:82",
    ];
    assert_eq!(
        upstreams
            .addresses(ORIGIN)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        all
    );
    assert_eq!(picks(&upstreams, 10), [all, all].concat());
    let hosts: Vec<_> = (0..5)
        .map(|_| upstreams.pick(ORIGIN).unwrap().host)
        .collect();
    assert_eq!(
        hosts,
        ["a.test", "a.test", "a.test", "192.0.2.1", "2001:db8::1"]
    );
}

#[tokio::test]
async fn the_upstream_follows_a_changed_answer_whatever_its_time_to_live() {
    let server = NameServer::start().await;
    server.has("a.test", &["10.0.0.1"]);
    server.has("b.test", &["10.1.0.1"]);
    let (resolver, mut told) = resolver();
    let upstream = upstream(&["a.test:80", "b.test:80"]);
    let upstreams = Upstreams::with_parts(&[upstream], &dns(&server, FAST), &resolver);
    upstreams.resolved().await;
    assert_eq!(picks(&upstreams, 2), ["10.0.0.1:80", "10.1.0.1:80"]);
    for round in 2..5 {
        let (a, b) = (format!("10.0.0.{round}"), format!("10.1.0.{round}"));
        server.has("a.test", &[&a]);
        let of = |address: &str| Seen::Changed(vec![address.parse().unwrap()]);
        wait_for(&mut told, |seen| *seen == of(&a)).await;
        server.has("b.test", &[&b]);
        wait_for(&mut told, |seen| *seen == of(&b)).await;
        let mut picked = picks(&upstreams, 2);
        picked.sort();
        assert_eq!(picked, [format!("{a}:80"), format!("{b}:80")]);
    }
}

#[tokio::test]
async fn the_last_good_answer_stays_in_use_while_there_is_none() {
    let server = NameServer::start().await;
    server.has("a.test", &["10.0.0.1"]);
    let (resolver, mut told) = resolver();
    let upstreams =
        Upstreams::with_parts(&[upstream(&["a.test:80"])], &dns(&server, FAST), &resolver);
    upstreams.resolved().await;
    for code in [
        ResponseCode::ServFail,
        ResponseCode::NXDomain,
        ResponseCode::Refused,
    ] {
        server.says("a.test", Says::Code(code));
        wait_for(&mut told, |seen| *seen == Seen::Failed).await;
        assert_eq!(picks(&upstreams, 1), ["10.0.0.1:80"], "{code}");
    }
    server.has("a.test", &[]);
    wait_for(&mut told, |seen| *seen == Seen::Failed).await;
    assert_eq!(picks(&upstreams, 1), ["10.0.0.1:80"]);
    server.has("a.test", &["10.0.0.2"]);
    wait_for(
        &mut told,
        |seen| matches!(seen, Seen::Changed(to) if to[0].to_string() == "10.0.0.2"),
    )
    .await;
    assert_eq!(picks(&upstreams, 1), ["10.0.0.2:80"]);
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_again_over_tcp() {
    let server = NameServer::start().await;
    let many: Vec<IpAddr> = (0..=255)
        .map(|last| IpAddr::from([10, 0, 0, last]))
        .collect();
    server.says("a.test", Says::OverTcp(many));
    let (resolver, _told) = resolver();
    let upstreams =
        Upstreams::with_parts(&[upstream(&["a.test:80"])], &dns(&server, NEVER), &resolver);
    upstreams.resolved().await;
    assert_eq!(upstreams.addresses(ORIGIN).len(), 256);
}

#[tokio::test]
async fn names_that_are_no_host_names_are_asked_for_too() {
    let server = NameServer::start().await;
    server.has("my_service", &["10.0.0.1"]);
    server.has("_x._tcp.test", &["10.0.0.2"]);
    let (resolver, _told) = resolver();
    let upstream = upstream(&["my_service:80", "_x._tcp.test:80"]);
    let upstreams = Upstreams::with_parts(&[upstream], &dns(&server, NEVER), &resolver);
    upstreams.resolved().await;
    assert_eq!(picks(&upstreams, 2), ["10.0.0.1:80", "10.0.0.2:80"]);
}

#[tokio::test]
async fn another_generation_knows_at_once_what_the_last_one_learnt() {
    let server = NameServer::start().await;
    server.has("a.test", &["10.0.0.1"]);
    let (resolver, _told) = resolver();
    let first = Upstreams::with_parts(&[upstream(&["a.test:80"])], &dns(&server, NEVER), &resolver);
    first.resolved().await;
    let asked = server.questions();
    assert_eq!(asked, 2, "one of each family");
    let second =
        Upstreams::with_parts(&[upstream(&["a.test:81"])], &dns(&server, NEVER), &resolver);
    drop(first);
    assert_eq!(picks(&second, 1), ["10.0.0.1:81"]);
    second.resolved().await;
    assert_eq!(server.questions(), asked);
    // Other rules are another question.
    let third = Upstreams::with_parts(
        &[upstream(&["a.test:81"])],
        &dns(&server, NEVER * 2),
        &resolver,
    );
    third.resolved().await;
    assert_eq!(server.questions(), asked * 2);
}

#[tokio::test]
async fn two_generations_follow_the_same_name() {
    let server = NameServer::start().await;
    server.has("a.test", &["10.0.0.1"]);
    let (resolver, mut told) = resolver();
    let of =
        |port: &str| Upstreams::with_parts(&[upstream(&[port])], &dns(&server, FAST), &resolver);
    let (old, new) = (of("a.test:80"), of("a.test:81"));
    new.resolved().await;
    server.has("a.test", &["10.0.0.2"]);
    wait_for(
        &mut told,
        |seen| matches!(seen, Seen::Changed(to) if to[0].to_string() == "10.0.0.2"),
    )
    .await;
    assert_eq!(
        (picks(&old, 1), picks(&new, 1)),
        (
            vec!["10.0.0.2:80".to_owned()],
            vec!["10.0.0.2:81".to_owned()]
        )
    );
}

#[tokio::test]
async fn nothing_is_asked_any_more_when_the_last_generation_is_gone() {
    let server = NameServer::start().await;
    server.has("a.test", &["10.0.0.1"]);
    let (resolver, mut told) = resolver();
    let upstreams =
        Upstreams::with_parts(&[upstream(&["a.test:80"])], &dns(&server, NEVER), &resolver);
    upstreams.resolved().await;
    drop(upstreams);
    drop(resolver);
    // The task holds the resolver, and that the observer: the channel ends when they are gone.
    let ended = timeout(Duration::from_secs(10), async {
        while told.recv().await.is_some() {}
    })
    .await;
    assert_eq!(ended, Ok(()));
}

#[tokio::test]
async fn a_silent_name_server_delays_a_generation_by_two_seconds_at_most() {
    let server = NameServer::start().await;
    server.says("a.test", Says::Nothing);
    let (resolver, mut told) = resolver();
    let upstreams =
        Upstreams::with_parts(&[upstream(&["a.test:80"])], &dns(&server, FAST), &resolver);
    let start = Instant::now();
    upstreams.resolved().await;
    assert!(
        (Duration::from_millis(1500)..Duration::from_secs(4)).contains(&start.elapsed()),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(upstreams.pick(ORIGIN).unwrap_err(), NoneHealthy);
    assert!(upstreams.addresses(ORIGIN).is_empty());
    // A late answer takes effect all the same.
    server.has("a.test", &["10.0.0.1"]);
    wait_for(&mut told, |seen| matches!(seen, Seen::Changed(_))).await;
    assert_eq!(picks(&upstreams, 1), ["10.0.0.1:80"]);
}

#[tokio::test]
async fn another_attempt_goes_to_another_address() {
    let (resolver, _told) = resolver();
    let upstream = upstream(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"]);
    let server = NameServer::start().await;
    let upstreams = Upstreams::with_parts(&[upstream], &dns(&server, NEVER), &resolver);
    upstreams.resolved().await;
    for address in upstreams.addresses(ORIGIN) {
        // Whoever's turn it is, also the last one's.
        for _ in 0..3 {
            let picked = upstreams.pick_other(ORIGIN, &[address]).unwrap();
            assert_ne!(picked.address, address);
        }
        let mut failed = Vec::new();
        while upstreams.has_other(ORIGIN, &failed) {
            let picked = upstreams.pick_other(ORIGIN, &failed).unwrap();
            assert!(!failed.contains(&picked.address));
            failed.push(picked.address);
        }
        assert_eq!(
            upstreams.pick_other(ORIGIN, &failed).unwrap_err(),
            NoneHealthy
        );
        assert_eq!(failed.len(), 3);
    }
    assert_eq!(server.questions(), 0, "addresses are not asked for");
}

#[tokio::test]
async fn the_others_share_the_load_of_an_address_that_fails() {
    let (resolver, _told) = resolver();
    let upstream = upstream(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"]);
    let dns = Dns {
        servers: Vec::new(),
        refresh: NEVER,
    };
    let upstreams = Upstreams::with_parts(&[upstream], &dns, &resolver);
    let mut served = HashMap::<String, usize>::new();
    for _ in 0..30 {
        let mut failed = Vec::new();
        let mut picked = upstreams.pick(ORIGIN).unwrap();
        while picked.host == "10.0.0.1" {
            failed.push(picked.address);
            assert!(upstreams.has_other(ORIGIN, &failed));
            picked = upstreams.pick_other(ORIGIN, &failed).unwrap();
        }
        *served.entry(picked.host.to_owned()).or_default() += 1;
    }
    assert_eq!((served["10.0.0.2"], served["10.0.0.3"]), (15, 15));
}

#[tokio::test]
async fn names_and_ids_of_another_configuration_are_unknown() {
    let (resolver, _told) = resolver();
    let server = NameServer::start().await;
    let upstreams = Upstreams::with_parts(
        &[upstream(&["10.0.0.1:1"])],
        &dns(&server, NEVER),
        &resolver,
    );
    assert_eq!(
        (upstreams.id("origin"), upstreams.id("other")),
        (Some(ORIGIN), None)
    );
    assert_eq!(
        upstreams
            .upstream(ORIGIN)
            .map(|upstream| upstream.name.as_str()),
        Some("origin")
    );
    assert!(upstreams.upstream(UpstreamId(1)).is_none() && upstreams.pick(UpstreamId(1)).is_err());
}

#[tokio::test]
async fn without_servers_the_system_is_asked() {
    let addresses = Lookup::new(&[]).addresses("localhost").await.unwrap();
    assert!(addresses.iter().all(IpAddr::is_loopback), "{addresses:?}");
}

/// Where the lines of this thread go.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_outage_is_logged_once_and_its_end_too() {
    let lines = Lines::default();
    let to = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || to.clone())
        .finish();
    let _log = tracing::subscriber::set_default(subscriber);
    let server = NameServer::start().await;
    server.has("a.test", &["10.0.0.1"]);
    let (resolver, mut told) = resolver();
    let upstreams =
        Upstreams::with_parts(&[upstream(&["a.test:80"])], &dns(&server, FAST), &resolver);
    upstreams.resolved().await;
    for _ in 0..2 {
        server.says("a.test", Says::Code(ResponseCode::ServFail));
        for _ in 0..3 {
            wait_for(&mut told, |seen| *seen == Seen::Failed).await;
        }
        server.has("a.test", &["10.0.0.1"]);
        wait_for(&mut told, |seen| *seen == Seen::Same).await;
    }
    let text = String::from_utf8(lines.0.lock().clone()).unwrap();
    let count = |part: &str| {
        text.lines()
            .filter(|line| line.contains(part) && line.contains("a.test"))
            .count()
    };
    assert_eq!(count("name resolution fails"), 2, "{text}");
    assert_eq!(count("name resolution works again"), 2, "{text}");
    assert_eq!(count("addresses of an upstream changed"), 1, "{text}");
}

//! What is counted, and what the operator and Prometheus are told.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use weft_proxy_api::v1;

use crate::support::{CLUSTER_IP, Client, Operator, Proxy, Server, endpoint, get, service, service_name, target, text};

fn totals(reports: &[v1::TrafficReport], right: impl Fn(&v1::EdgeTotals) -> bool) -> Option<v1::EdgeTotals> {
    reports.iter().flat_map(|report| &report.edges).rfind(|edge| right(edge)).cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_each_edge_in_the_operators_words() {
    let server = Server::start(|request| {
        let fails = request.uri().path() == "/fail";
        Box::pin(async move { if fails { text(500, "no") } else { text(200, "yes") } })
    })
    .await;
    let operator = Operator::start().await;
    operator.say(target(CLUSTER_IP), service(&[("web-v1", 1, vec![endpoint(server.address)])]));
    let proxy = Proxy::with(&operator, CLUSTER_IP, server.address, |_| {}).await.ready().await;
    let mut client = Client::connect(proxy.outbound).await;
    for path in ["/", "/", "/fail"] {
        client.send(get(path)).await;
    }
    Client::connect(proxy.inbound).await.send(get("/")).await;

    let outbound =
        |edge: &v1::EdgeTotals| edge.direction() == v1::Direction::Outbound && edge.success + edge.failure == 3;
    let inbound = |edge: &v1::EdgeTotals| edge.direction() == v1::Direction::Inbound && edge.success == 1;
    let heard = operator
        .heard(|heard| {
            let all = heard.reports.concat();
            totals(&all, outbound).is_some() && totals(&all, inbound).is_some()
        })
        .await;
    let edge = totals(&heard.reports.concat(), outbound).unwrap();
    assert_eq!(edge.root, Some(service_name("web")));
    assert_eq!(edge.backend, Some(service_name("web-v1")));
    assert_eq!(edge.split.map(|split| (split.name, split.generation)), Some(("canary".to_owned(), 0)));
    assert_eq!(edge.peer.map(|peer| (peer.kind, peer.name)), Some(("Deployment".to_owned(), "web".to_owned())));
    assert_eq!(edge.peer_pod, format!("web-{}", server.address.port()));
    assert_eq!((edge.port, edge.success, edge.failure), (80, 2, 1));
    assert_eq!(edge.status_classes, [(2, 2), (5, 1)].into());
    assert_eq!((edge.latency_buckets.len(), edge.latency_buckets.iter().sum::<u64>()), (4, 3));
    let edge = totals(&heard.reports.concat(), inbound).unwrap();
    assert_eq!((edge.root, edge.peer, edge.port), (None, None, server.address.port().into()));

    let metrics = proxy.admin("/metrics").await.body;
    let line = |code: u16| {
        format!(
            "istio_requests_total{{reporter=\"source\",source_workload=\"client\",source_workload_namespace=\"shop\",\
             destination_workload=\"web\",destination_workload_namespace=\"shop\",\
             destination_service=\"web-v1.shop.svc.cluster.local\",destination_service_name=\"web-v1\",\
             destination_service_namespace=\"shop\",destination_port=\"80\",weft_root=\"shop/web\",\
             weft_backend=\"shop/web-v1\",request_protocol=\"http\",response_code=\"{code}\",grpc_response_status=\"\",\
             connection_security_policy=\"none\"}}"
        )
    };
    for want in [format!("{} 2", line(200)), format!("{} 1", line(500))] {
        assert!(metrics.lines().any(|line| line == want), "{want} is not in\n{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_stream_starts_with_everything_and_later_reports_have_what_changed() {
    let server = Server::named("web").await;
    let mut operator = Operator::start().await;
    operator.say(target(CLUSTER_IP), service(&[("web", 1, vec![endpoint(server.address)])]));
    let proxy = Proxy::start(&operator).await.ready().await;
    Client::connect(proxy.outbound).await.send(get("/")).await;
    operator.heard(|heard| totals(&heard.reports.concat(), |edge| edge.success == 1).is_some()).await;
    operator.heard(|heard| heard.reports.last().is_some_and(|reports| reports.len() > 3)).await;
    let heard = operator.heard(|heard| heard.reports.concat().last().is_some_and(|last| last.edges.is_empty())).await;
    let first_stream = heard.reports.len();

    operator.vanish().await;
    operator.come_back().await;
    let heard = operator
        .heard(|heard| heard.reports.get(first_stream..).is_some_and(|streams| !streams.concat().is_empty()))
        .await;
    let first = &heard.reports[first_stream..].concat()[0];
    assert_eq!(first.edges.iter().map(|edge| edge.success).collect::<Vec<_>>(), [1]);
    let all = heard.reports.concat();
    assert!(all.windows(2).all(|pair| pair[0].instance == pair[1].instance));
    assert!(all.windows(2).all(|pair| pair[0].uptime_milliseconds <= pair[1].uptime_milliseconds));
}

/// A client that pauses is heard by its server meanwhile, before anybody knows what it speaks.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_went_ahead_are_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answering = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 4]).await.unwrap();
        stream.write_all(b"yes").await.unwrap();
        stream
    });
    let operator = Operator::start().await;
    let proxy = Proxy::with(&operator, CLUSTER_IP, address, |_| {}).await.ready().await;
    let mut client = TcpStream::connect(proxy.inbound).await.unwrap();
    client.write_all(b"WORD").await.unwrap();
    client.read_exact(&mut [0; 3]).await.unwrap();
    client.write_all(b"S\r\n").await.unwrap();
    answering.await.unwrap().read_exact(&mut [0; 3]).await.unwrap();
    let counted = |name: &str, metrics: &str| {
        let found = metrics.lines().find(|line| line.starts_with(name) && line.contains("destination"));
        found.and_then(|line| line.rsplit_once(' ')).map(|(_, count)| count.to_owned())
    };
    for (name, want) in [("istio_tcp_received_bytes_total", "7"), ("istio_tcp_sent_bytes_total", "3")] {
        proxy.admin_until("/metrics", |metrics| counted(name, &metrics.body).as_deref() == Some(want)).await;
    }
}

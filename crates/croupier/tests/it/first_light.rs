//! The first story: a request goes in, reaches a server, and its answer comes out.

use crate::prelude::{Client, Origin, Reply, in_front_of};

#[test]
fn a_request_is_dealt_to_a_server_and_its_answer_comes_back() {
    let origin = Origin::start(|request| Reply::ok(format!("you asked for {}", request.target)));
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    let response = client.get("/cards?suit=hearts");
    assert_eq!(response.status, 200);
    assert_eq!(response.text(), "you asked for /cards?suit=hearts");
    assert_eq!(origin.requests().len(), 1);
}

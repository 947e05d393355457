//! The one integration binary: the real proxy, real sockets, scripted origins, raw clients.
//! One story a test; each module is a room of stories.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a story may fail")]

mod crowd;
mod prelude;
mod scripts;
mod shelf;
mod verdict;

mod first_light;

mod framing;
mod heads;
mod hostile_origins;
mod identity;
mod internal_answers;
mod probe;
mod targets;

mod bodies;
mod cache_admin;
mod cache_attacks;
mod cache_collapse;
mod cache_fresh;
mod cache_methods;
mod cache_parts;
mod cache_private;
mod cache_purge;
mod cache_slices;
mod cache_stale;
mod compress;
mod compress_once;
mod interim;
mod limits;
mod sockets;
mod timeouts;
mod tunnels;

mod proxy_protocol;
mod tls_bad_days;
mod tls_clients;
mod tls_plain;
mod tls_sites;

mod balance;
mod costs;
mod drain;
mod failover;
mod guard;
mod headers;
mod health;
mod hedge;
mod logs;
mod metrics;
mod mirror;
mod names;
mod origin_door;
mod origin_greeting;
mod origin_h2;
mod origin_hostile;
mod origin_server;
mod origin_tls;
mod queue;
mod reload;
mod resume;
mod retry;
mod reuse;
mod routing;
mod split;
mod sticky;

mod real_browser;
mod real_curl;
mod real_dictionary;
mod real_grpc;
mod real_nghttp;
mod real_tools;
mod real_websockets;

mod h2_bodies;
mod h2_drain;
mod h2_fields;
mod h2_floods;
mod h2_leaks;
mod h2_life;
mod h2_smuggling;
mod h2_spec;
mod h2_spec_frames;
mod h2_spec_messages;
mod h2_websocket;

mod acme;
mod certificates;
mod cli;
mod demo;
mod examples;

//! Keys of encryption and of who is at the other end: TLS to clients and to servers, certificates that get
//! themselves, PROXY headers.

use super::{Key, Kind, SECRET, Table, key};

const CA_FILES: Kind = Kind::TextOrTexts("/etc/croupier/ca.pem");

pub(crate) const TLS_KEY: Key = key(
    "tls",
    Kind::Either(&[
        Kind::Words(&["auto", "on-demand", "internal", "off"]),
        Kind::Table(&SITE_TLS),
    ]),
    "",
    "Whose certificate clients see; `off`: none, the site is plain. `auto`: one from the authority of `[acme]` for all names of the site, which gets and renews itself. `on-demand`: the same, for any name when a client first asks for it and `[acme] ask` agrees. `internal`: one from our own authority, which for `*` names `localhost`. Unless written, a site with a listener on port 443 has `auto` when its names are public and `internal` when they are `localhost`, IP addresses or names that end in `.internal`, `.local` or `.home.arpa`; every other site is plain.",
);
pub(crate) const PLAIN_KEY: Key = key(
    "plain",
    Kind::Words(&["redirect", "serve"]),
    "\"redirect\"",
    "What a site with `tls` answers to a request without: a redirect to https, or the same as with.",
);
pub(crate) const HSTS_KEY: Key = key(
    "hsts",
    Kind::Either(&[Kind::Duration, Kind::Flag, Kind::Table(&HSTS)]),
    "false",
    "`Strict-Transport-Security` (RFC 6797) on every answer over TLS: browsers that have seen it come by https only. `true` is `\"365d\"`.",
);
pub(crate) const POOL_TLS_KEY: Key = key(
    "tls",
    Kind::Table(&POOL_TLS),
    "",
    "How its servers prove who they are, and we to them; with `protocol = \"https\"` only.",
);
pub(crate) const SEND_PROXY_KEY: Key = key(
    "proxy_protocol",
    Kind::Either(&[Kind::Words(&["v1", "v2"]), Kind::Table(&PROXY_HEADER)]),
    "",
    "Each connection to its servers begins with a PROXY header that names the client; `v1` is a line of text, `v2` is binary.",
);

pub(crate) const SITE_TLS: Table = Table {
    title: "TLS of a site",
    doc: "In a site: `tls = { certificate = \"/etc/croupier/shop.pem\", key = \"/etc/croupier/shop.key\" }`.",
    keys: &[
        key(
            "certificate",
            Kind::Either(&[
                Kind::Text("/etc/croupier/shop.pem"),
                Kind::Words(&["auto", "on-demand", "internal"]),
            ]),
            "",
            "A PEM file with the certificate and what leads to its authority, or a word as in `tls = \"auto\"`. Unless written, the word that the names of the site call for.",
        ),
        key(
            "key",
            Kind::Text("/etc/croupier/shop.key"),
            "",
            "A PEM file with the certificate's key; the same file unless written.",
        ),
        key(
            "profile",
            Kind::Words(&["intermediate", "modern"]),
            "\"intermediate\"",
            "`intermediate`: TLS 1.3, and 1.2 with forward secrecy and AEAD. `modern`: TLS 1.3 only.",
        ),
        key(
            "client_auth",
            Kind::Table(&CLIENT_AUTH),
            "",
            "Ask clients for a certificate.",
        ),
    ],
    later: &["versions", "ciphers", "curves"],
};

pub(crate) const CLIENT_AUTH: Table = Table {
    title: "client_auth",
    doc: "In the `tls` of a site: `client_auth = { ca = \"/etc/croupier/staff-ca.pem\" }`.",
    keys: &[
        key(
            "ca",
            CA_FILES,
            "",
            "PEM files with the authorities that are believed.",
        ),
        key(
            "mode",
            Kind::Words(&["require", "optional"]),
            "\"require\"",
            "`require`: a client without a certificate is not let in. `optional`: it is, and the origin hears of it.",
        ),
        key(
            "crl",
            Kind::TextOrTexts("/etc/croupier/staff.crl"),
            "[]",
            "PEM files with revocation lists of these authorities.",
        ),
    ],
    later: &[],
};

pub(crate) const HSTS: Table = Table {
    title: "hsts",
    doc: "In a site: `hsts = { max_age = \"730d\", include_subdomains = true }`.",
    keys: &[
        key(
            "max_age",
            Kind::Duration,
            "\"365d\"",
            "How long a browser keeps to it; `0s`: it forgets.",
        ),
        key(
            "include_subdomains",
            Kind::Flag,
            "false",
            "It holds for every name below these too.",
        ),
        key(
            "preload",
            Kind::Flag,
            "false",
            "The name may be built into browsers; needs `include_subdomains` and a `max_age` of 365 days.",
        ),
    ],
    later: &[],
};

pub(crate) const ACME: Table = Table {
    title: "[acme]",
    doc: "Certificates that get and renew themselves (RFC 8555, RFC 9773), for sites with `tls = \"auto\"` or `\"on-demand\"`. All of it is optional.",
    keys: &[
        key(
            "directory",
            Kind::Either(&[
                Kind::Text("https://ca.internal/acme/directory"),
                Kind::Words(&["letsencrypt", "staging"]),
            ]),
            "\"letsencrypt\"",
            "The authority: the URL of its directory, or `letsencrypt`, or `staging` (Let's Encrypt's for tests, which no browser believes).",
        ),
        key(
            "ca",
            Kind::Text("/etc/croupier/acme-ca.pem"),
            "",
            "A PEM file with the authority of the directory's own certificate; those of the system unless written.",
        ),
        key(
            "contact",
            Kind::TextOrTexts("ops@example.com"),
            "[]",
            "Mail addresses at which the authority reaches you.",
        ),
        key(
            "challenges",
            Kind::Texts("http-01"),
            "[\"tls-alpn-01\", \"http-01\"]",
            "Ways to prove that a name is ours, in this order. `tls-alpn-01` is asked at port 443, `http-01` at port 80.",
        ),
        key(
            "key",
            Kind::Words(&["p256", "p384", "rsa2048"]),
            "\"p256\"",
            "The kind of the certificates' keys.",
        ),
        key(
            "binding",
            Kind::Table(&BINDING),
            "",
            "External account binding, for authorities that ask for it.",
        ),
        key(
            "profile",
            Kind::Text("shortlived"),
            "",
            "A profile of the authority; its own choice unless written.",
        ),
        key(
            "ask",
            Kind::Text("http://127.0.0.1:9000/may-have"),
            "",
            "Asked, with `?domain=NAME` added, before a name gets a certificate on demand: 200 is yes.",
        ),
    ],
    later: &["dns"],
};

pub(crate) const BINDING: Table = Table {
    title: "binding",
    doc: "In `[acme]`: `binding = { id = \"kid-1\", key = { file = \"/etc/croupier/eab\" } }` (RFC 8555, 7.3.4).",
    keys: &[
        key(
            "id",
            Kind::Text("kid-1"),
            "",
            "The key's id, as the authority gave it.",
        ),
        key(
            "key",
            Kind::Either(&[Kind::Table(&SECRET), Kind::Text("as the authority gave it")]),
            "",
            "The key, base64url, as the authority gave it.",
        ),
    ],
    later: &[],
};

pub(crate) const POOL_TLS: Table = Table {
    title: "TLS of a pool",
    doc: "In a pool with `protocol = \"https\"`: `tls = { ca = \"/etc/croupier/ca.pem\", name = \"app.internal\" }`.",
    keys: &[
        key(
            "ca",
            CA_FILES,
            "",
            "PEM files with the authorities that are believed; those of the system unless written.",
        ),
        key(
            "name",
            Kind::Text("app.internal"),
            "",
            "The name that the servers' certificates must show; each server's own host unless written.",
        ),
        key(
            "certificate",
            Kind::Text("/etc/croupier/us.pem"),
            "",
            "A PEM file with our certificate, for servers that ask for one.",
        ),
        key(
            "key",
            Kind::Text("/etc/croupier/us.key"),
            "",
            "A PEM file with its key; the same file unless written.",
        ),
        key(
            "verify",
            Kind::Flag,
            "true",
            "`false` believes whoever answers, and `check` warns of it.",
        ),
        key(
            "http2",
            Kind::Flag,
            "true",
            "Offer HTTP/2 beside HTTP/1.1; the server chooses.",
        ),
    ],
    later: &[],
};

pub(crate) const PROXY_HEADER: Table = Table {
    title: "proxy_protocol",
    doc: "In a pool: `proxy_protocol = { version = \"v2\", tlvs = [\"authority\", \"ssl\"] }`.",
    keys: &[
        key(
            "version",
            Kind::Words(&["v1", "v2"]),
            "\"v2\"",
            "The form of the header.",
        ),
        key(
            "tlvs",
            Kind::Texts("authority"),
            "[]",
            "What a `v2` header says beside the addresses: `alpn` (the protocol that was chosen), `authority` (the name in the client's handshake), `ssl` (the TLS version and the client's certificate), `unique-id` (the id of the request).",
        ),
    ],
    later: &[],
};

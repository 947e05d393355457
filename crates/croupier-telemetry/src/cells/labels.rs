//! What a series of exchanges is named by: a route, a method, a status, a version.
//!
//! All four come from configuration or from closed sets, so no client can grow the number of series at
//! will. Together they fit into one `u64`, which is the key of the worker's table.

/// A site and a route, interned by `Registry::route`; stays valid for the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RouteSlot(pub(crate) u32);

/// A pool and a server, interned by `Registry::server`; valid until it is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServerSlot(pub(crate) u32);

impl RouteSlot {
    /// Where exchanges are counted that have no slot of their own: site and route are `other`.
    pub const OTHER: Self = Self(0);
}

impl ServerSlot {
    /// Where servers are counted that have no slot of their own: pool and server are `other`.
    pub const OTHER: Self = Self(0);
}

macro_rules! methods {
    ($($id:ident $name:literal)+) => {
        /// A request method as a label: the registered ones by name, all others as `_OTHER`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum MethodLabel {
            $(#[doc = $name] $id,)+
            /// Whatever else a client may send.
            Other,
        }

        impl MethodLabel {
            const ALL: &'static [Self] = &[$(Self::$id,)+ Self::Other];

            /// The label of a method as it stands in the request line; methods are case-sensitive.
            #[must_use]
            pub fn of(method: &[u8]) -> Self {
                $(if method == $name.as_bytes() {
                    return Self::$id;
                })+
                Self::Other
            }

            /// The label's text.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$id => $name,)+
                    Self::Other => "_OTHER",
                }
            }
        }
    };
}

methods! {
    Get "GET"
    Post "POST"
    Head "HEAD"
    Put "PUT"
    Delete "DELETE"
    Options "OPTIONS"
    Patch "PATCH"
    Query "QUERY"
    Connect "CONNECT"
    Trace "TRACE"
}

/// The version of HTTP the client spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtoVersion {
    /// HTTP/1.0
    H1_0,
    /// HTTP/1.1
    H1_1,
    /// HTTP/2
    H2,
    /// HTTP/3
    H3,
}

impl ProtoVersion {
    const ALL: &'static [Self] = &[Self::H1_0, Self::H1_1, Self::H2, Self::H3];

    /// The label's text: `1.0`, `1.1`, `2`, `3`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::H1_0 => "1.0",
            Self::H1_1 => "1.1",
            Self::H2 => "2",
            Self::H3 => "3",
        }
    }
}

/// A version byte of its own for exchanges that were folded together.
const ANY_VERSION: u8 = 0xff;

/// A series' labels in one word: route, status, method, version, from the high bits down. Sorting keys
/// sorts the export by route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SeriesKey(u64);

impl SeriesKey {
    #[inline]
    pub(crate) const fn new(
        route: RouteSlot,
        method: MethodLabel,
        status: u16,
        version: ProtoVersion,
    ) -> Self {
        Self::pack(route, method, status, version as u8)
    }

    /// The series for this status when there is no room for more: all routes, methods and versions.
    pub(crate) const fn folded(self) -> Self {
        Self::pack(
            RouteSlot::OTHER,
            MethodLabel::Other,
            self.status(),
            ANY_VERSION,
        )
    }

    const fn pack(route: RouteSlot, method: MethodLabel, status: u16, version: u8) -> Self {
        // A status with more than three digits cannot come from the wire; count it as none.
        let status = if status < 1000 { status } else { 0 };
        let low = (status as u64) << 16 | (method as u64) << 8 | version as u64;
        Self((route.0 as u64) << 32 | low)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    pub(crate) const fn route(self) -> RouteSlot {
        RouteSlot((self.0 >> 32) as u32)
    }

    /// 0 for none.
    pub(crate) const fn status(self) -> u16 {
        (self.0 >> 16) as u16
    }

    pub(crate) fn method(self) -> &'static str {
        let index = usize::from((self.0 >> 8) as u8);
        MethodLabel::ALL
            .get(index)
            .unwrap_or(&MethodLabel::Other)
            .as_str()
    }

    pub(crate) fn version(self) -> &'static str {
        let index = usize::from(self.0 as u8);
        ProtoVersion::ALL
            .get(index)
            .map_or("other", |version| version.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_back_its_labels() {
        for method in MethodLabel::ALL {
            for version in ProtoVersion::ALL {
                let key = SeriesKey::new(RouteSlot(u32::MAX), *method, 999, *version);
                assert_eq!(key.route(), RouteSlot(u32::MAX));
                assert_eq!(key.status(), 999);
                assert_eq!(key.method(), method.as_str());
                assert_eq!(key.version(), version.as_str());
            }
        }
        let key = SeriesKey::new(RouteSlot(7), MethodLabel::Get, 204, ProtoVersion::H2).folded();
        assert_eq!((key.route(), key.status()), (RouteSlot::OTHER, 204));
        assert_eq!((key.method(), key.version()), ("_OTHER", "other"));
        assert_eq!(
            SeriesKey::new(RouteSlot(7), MethodLabel::Get, 1000, ProtoVersion::H2).status(),
            0
        );
    }

    #[test]
    fn unknown_methods_share_one_label() {
        assert_eq!(MethodLabel::of(b"GET"), MethodLabel::Get);
        assert_eq!(MethodLabel::of(b"QUERY"), MethodLabel::Query);
        assert_eq!(MethodLabel::of(b"get"), MethodLabel::Other);
        assert_eq!(MethodLabel::of(b""), MethodLabel::Other);
        assert_eq!(MethodLabel::of(b"_OTHER"), MethodLabel::Other);
        assert_eq!(MethodLabel::Other.as_str(), "_OTHER");
    }
}

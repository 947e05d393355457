//! croupier-http.

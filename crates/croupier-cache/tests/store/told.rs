//! What is evicted, counted and told.

use croupier_cache::store::Which;

use super::kit::*;

#[test]
fn what_does_not_fit_is_evicted_and_the_size_is_kept() {
    let store = store(1 << 20);
    for number in 0..2000 {
        put(&store, &key(&format!("/{number}")), &[7; 4000]).unwrap();
        let (kept, on_its_way) = store.used();
        assert!(kept + on_its_way <= 1 << 20);
    }
    let counts = store.counts();
    assert_eq!(
        (counts.stored, counts.stored - counts.evicted),
        (2000, counts.objects)
    );
    assert_eq!(counts.bytes, store.used().0);
    assert!(counts.objects > 150, "{counts:?}");
}

#[test]
fn hits_and_misses_are_counted_host_by_host() {
    let store = store(1 << 20);
    for (host, hits) in [("b.test", 3), ("a.test:8443", 1)] {
        let key = key_at(host, "/");
        put(&store, &key, b"x").unwrap();
        for _ in 0..hits {
            held(&store, &key).unwrap().hit();
        }
    }
    let rows = store.counts_by_site();
    let row = |at: usize| (rows[at].0.as_str(), rows[at].1.hits, rows[at].1.misses);
    assert_eq!(
        (row(0), row(1), row(2)),
        (("a.test", 1, 1), ("b.test", 3, 1), ("*", 0, 0))
    );
    let total = store.counts();
    assert_eq!(
        (total.hits, total.misses, total.stored, total.objects),
        (4, 2, 2, 2)
    );
    // Hosts without end share one row.
    for number in 0..2000 {
        put(&store, &key_at(&format!("{number}.test"), "/"), b"x").unwrap();
    }
    let rows = store.counts_by_site();
    assert_eq!(rows.len(), 1025);
    assert_eq!(rows[1024].1.stored, 2002 - 1024);
    assert_eq!(store.counts().stored, 2002);
}

#[test]
fn why_an_answer_was_not_kept_is_remembered() {
    let store = store(1 << 20);
    for number in 0..300 {
        let mut key = key(&format!("/{number}"));
        key.part("x");
        let why = if number % 2 == 0 {
            "private"
        } else {
            "no-store"
        };
        store.refused(&key, why, NOW + number);
    }
    let last = store.refusals();
    assert_eq!(last.len(), 256);
    assert_eq!(
        (&*last[0].target, last[0].why, last[0].at_ms),
        ("https://a.test/299", "no-store", NOW + 299)
    );
    assert_eq!(
        store.refusals_by_reason(),
        [("private", 150), ("no-store", 150)]
    );
    store.refused(&key(&"é".repeat(1000)), "private", NOW);
    assert!(store.refusals()[0].target.len() <= 512);
}

#[test]
fn what_is_held_is_listed_in_pages_in_the_order_of_keys() {
    let store = store(64 << 20);
    for number in 0..2500 {
        let host = if number % 5 == 0 { "b.test" } else { "a.test" };
        put(&store, &key_at(host, &format!("/{number:04}")), b"12345").unwrap();
    }
    let all = |which: &Which| {
        let (mut items, mut after): (Vec<_>, Box<[u8]>) = (Vec::new(), Box::default());
        loop {
            let page = store.list(which, &after, 5000, NOW + 1000);
            assert!(page.items.len() <= 1000);
            items.extend(page.items);
            match page.next {
                Some(next) => after = next,
                None => return items,
            }
        }
    };
    let items = all(&Which::All);
    assert_eq!(items.len(), 2500);
    assert!(items.windows(2).all(|two| two[0].key < two[1].key));
    let first = &items[0];
    assert_eq!(
        (&*first.target, first.length, first.age, first.left),
        ("https://a.test/0001", 5, 1, 59)
    );
    assert_eq!(all(&Which::Host(Box::from(&b"b.test"[..]))).len(), 500);
    assert_eq!(all(&Which::below("https", "a.test", "/1")).len(), 800);
    let shown = store.show(key("/0001").as_bytes(), NOW);
    assert_eq!(shown.len(), 1);
    let varied = key("/varied");
    for lang in ["de", "en"] {
        let asked = fields(&[("Accept-Language", lang)]);
        put_with(&store, &varied, head(None), "accept-language", &asked, b"x").unwrap();
    }
    let shown = store.show(varied.as_bytes(), NOW);
    let variants: Vec<_> = shown
        .iter()
        .map(|item| item.variant.as_deref().unwrap())
        .collect();
    assert_eq!(variants.len(), 2);
    assert!(
        variants[0].contains("de") && variants[1].contains("en"),
        "{variants:?}"
    );
}

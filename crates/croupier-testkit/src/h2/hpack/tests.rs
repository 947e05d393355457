//! The examples of RFC 7541, appendix C, and what a strict decoder refuses.

use super::block::integer;
use super::{Block, Decoder, Encoder};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    let pairs = digits.chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
        .collect()
}

fn lines(decoder: &mut Decoder, block: &str) -> Vec<String> {
    let decoded = decoder.decode(&hex(block)).unwrap();
    let shown = decoded.iter();
    shown
        .map(|(n, v)| {
            format!(
                "{}: {}",
                String::from_utf8_lossy(n),
                String::from_utf8_lossy(v)
            )
        })
        .collect()
}

#[test]
fn integers_of_c_1() {
    for (value, prefix, wanted) in [(10, 5, "0a"), (1337, 5, "1f9a0a"), (42, 8, "2a")] {
        let mut bytes = Vec::new();
        integer(&mut bytes, 0, prefix, value);
        assert_eq!(bytes, hex(wanted), "{value}");
    }
}

#[test]
fn lines_of_c_2() {
    for (block, line, bytes) in [
        (
            "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
            "custom-key: custom-header",
            55,
        ),
        (
            "040c 2f73 616d 706c 652f 7061 7468",
            ":path: /sample/path",
            0,
        ),
        (
            "1008 7061 7373 776f 7264 0673 6563 7265 74",
            "password: secret",
            0,
        ),
        ("82", ":method: GET", 0),
    ] {
        let mut decoder = Decoder::new();
        assert_eq!(lines(&mut decoder, block), [line]);
        assert_eq!(decoder.table_bytes(), bytes, "{line}");
    }
    let custom = Block::new().insert("custom-key", "custom-header");
    let path = Block::new().named(4, "/sample/path");
    let secret = Block::new().secret("password", "secret");
    assert_eq!(custom.0[..2], hex("400a"));
    assert_eq!(path.0, hex("040c 2f73 616d 706c 652f 7061 7468"));
    assert_eq!(secret.0, hex("1008 7061 7373 776f 7264 0673 6563 7265 74"));
}

/// Three requests on one connection, plain (C.3) and in Huffman code (C.4).
#[test]
fn requests_of_c_3_and_c_4() {
    let plain = [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ];
    let coded = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    let wanted = [
        vec![
            ":method: GET",
            ":scheme: http",
            ":path: /",
            ":authority: www.example.com",
        ],
        vec![
            ":method: GET",
            ":scheme: http",
            ":path: /",
            ":authority: www.example.com",
            "cache-control: no-cache",
        ],
        vec![
            ":method: GET",
            ":scheme: https",
            ":path: /index.html",
            ":authority: www.example.com",
            "custom-key: custom-value",
        ],
    ];
    let mut encoder = Encoder::new();
    for blocks in [plain, coded] {
        let mut decoder = Decoder::new();
        for ((block, wanted), bytes) in blocks.iter().zip(&wanted).zip([57, 110, 164]) {
            assert_eq!(lines(&mut decoder, block), *wanted);
            assert_eq!(decoder.table_bytes(), bytes);
        }
    }
    for (block, wanted) in coded.iter().zip(&wanted) {
        let pairs: Vec<_> = wanted
            .iter()
            .map(|line| line.rsplit_once(": ").unwrap())
            .collect();
        assert_eq!(encoder.encode(&pairs), hex(block), "{wanted:?}");
    }
}

/// Three answers with a table of 256 bytes, which evicts (C.5, C.6).
#[test]
fn answers_of_c_5_and_c_6() {
    let plain = [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 \
         2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 \
         6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d \
         54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 \
         5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e \
         3d31",
    ];
    let coded = [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 \
         2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab \
         77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f \
         9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ];
    let cookie = "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
    let wanted = [
        vec![
            ":status: 302",
            "cache-control: private",
            "date: Mon, 21 Oct 2013 20:13:21 GMT",
            "location: https://www.example.com",
        ],
        vec![
            ":status: 307",
            "cache-control: private",
            "date: Mon, 21 Oct 2013 20:13:21 GMT",
            "location: https://www.example.com",
        ],
        vec![
            ":status: 200",
            "cache-control: private",
            "date: Mon, 21 Oct 2013 20:13:22 GMT",
            "location: https://www.example.com",
            "content-encoding: gzip",
            cookie,
        ],
    ];
    for blocks in [plain, coded] {
        let mut decoder = Decoder::new();
        decoder.limit(256);
        decoder.decode(&Block::new().size(256).0).unwrap();
        for ((block, wanted), bytes) in blocks.iter().zip(&wanted).zip([222, 222, 215]) {
            assert_eq!(lines(&mut decoder, block), *wanted);
            assert_eq!(decoder.table_bytes(), bytes);
        }
    }
}

#[test]
fn what_a_careful_encoder_never_sends_is_refused() {
    for (what, block) in [
        ("index 0", Block::new().indexed(0)),
        ("an index behind the table", Block::new().indexed(62)),
        ("a name behind the table", Block::new().named(70, "x")),
        ("a late size update", Block::new().indexed(2).size(0)),
        ("a size above the limit", Block::new().size(4097)),
        ("a cut string", Block::new().bytes([0, 5, b'a'])),
        ("a cut integer", Block::new().bytes([0xff, 0xff])),
        ("an endless integer", Block::new().bytes([0xff; 9])),
        ("a string of ones", Block::new().bytes([0, 0x81, 0xff, 0])),
    ] {
        assert!(Decoder::new().decode(&block.0).is_err(), "{what}");
    }
    let mut decoder = Decoder::new();
    decoder.limit(0);
    assert!(decoder.decode(&[0x82]).is_err());
    assert!(decoder.decode(&[0x20, 0x82]).is_ok());
}

#[test]
fn encoder_and_decoder_keep_the_same_table_for_long() {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
    for round in 0..400_usize {
        if round == 200 {
            encoder.allow(100);
        }
        let mut sent = vec![(b":path".to_vec(), format!("/{round}").into_bytes())];
        for number in 0..5 {
            let name = format!("x-{}", (round * 7 + number) % 23);
            let value = vec![b'a' + (round % 26) as u8; round * number % 90];
            sent.push((name.into_bytes(), value));
        }
        let block = encoder.encode(&sent);
        assert_eq!(decoder.decode(&block), Ok(sent), "round {round}");
    }
    assert!(decoder.table_bytes() <= 100);
}

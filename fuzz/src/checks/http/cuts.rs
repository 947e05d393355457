//! The ways in which a stream of bytes may arrive.

/// A number that depends on all bytes (FNV-1a): cuts and limits come from it, so that a corpus
/// file is nothing but the bytes of a message.
pub fn seed(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Lengths at which the input pauses, each list ascending and ending with the whole: at once,
/// byte by byte, in two pieces at every place of a short input, and in random pieces.
pub fn patterns(bytes: &[u8]) -> Vec<Vec<usize>> {
    let whole = bytes.len();
    let mut all = vec![vec![whole]];
    if whole < 2 {
        return all;
    }
    all.push((1..=whole).collect());
    if whole <= 96 {
        all.extend((1..whole).map(|cut| vec![cut, whole]));
    }
    let mut random = seed(bytes);
    for _ in 0..3 {
        let mut cuts = Vec::new();
        let mut at = 0;
        while at < whole {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            at += 1 + usize::try_from((random >> 33) % 24).unwrap_or(0);
            cuts.push(at.min(whole));
        }
        all.push(cuts);
    }
    all
}

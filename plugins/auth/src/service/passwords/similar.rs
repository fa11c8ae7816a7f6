//! Whether a password is little more than the user's name.

/// Shorter words are part of too much.
const SHORTEST: usize = 4;

/// Whether a password is one of the words that `about` says, or has too little beside them: fewer characters than a
/// password must have. Written backwards, in other case, or with digits for letters, a word is the same word.
pub(super) fn is_similar(password: &str, about: &[&str], min: usize) -> bool {
    let words: Vec<Vec<char>> = about.iter().flat_map(|text| words(text)).collect();
    let whole: Vec<String> = about.iter().map(|text| letters(text, 'i')).collect();
    ['i', 'l'].into_iter().any(|one| {
        let folded: Vec<char> = password.chars().map(|c| fold(c, one)).collect();
        has_little_else(&folded, &words, min) || {
            let letters = letters(password, one);
            whole.iter().any(|word| is_near(&letters, word))
        }
    })
}

/// What is left without the words is too short to be a password by itself.
fn has_little_else(password: &[char], words: &[Vec<char>], min: usize) -> bool {
    let mut of_words = vec![false; password.len()];
    for word in words {
        let backwards: Vec<char> = word.iter().rev().copied().collect();
        for word in [word, &backwards] {
            let found = password.windows(word.len()).enumerate().filter(|(_, window)| window == word);
            found.for_each(|(at, _)| of_words[at..at + word.len()].fill(true));
        }
    }
    let left = of_words.iter().filter(|of_word| !**of_word).count();
    left < password.len() && left < min
}

/// Whether at most a third of the longer one has to change to make it the other.
fn is_near(password: &str, word: &str) -> bool {
    let (one, other) = (password.chars().count(), word.chars().count());
    let near = |changes: usize| changes * 3 <= one.max(other);
    // The difference in length alone is a number of changes.
    other >= SHORTEST && near(one.abs_diff(other)) && near(strsim::levenshtein(password, word))
}

/// The words of a name or an address, folded: the parts between other characters, and all of them as one.
fn words(text: &str) -> Vec<Vec<char>> {
    let parts = text.split(|c: char| !c.is_alphanumeric()).map(|part| letters(part, 'i'));
    let words = parts.chain([letters(text, 'i')]).map(|word| word.chars().collect());
    words.filter(|word: &Vec<char>| word.len() >= SHORTEST).collect()
}

/// Its letters and digits, folded.
fn letters(text: &str, one: char) -> String {
    text.chars().map(|c| fold(c, one)).filter(|c| c.is_alphanumeric()).collect()
}

/// In lower case; digits and signs that stand for letters are those letters. `one` is what 1 stands for.
fn fold(c: char, one: char) -> char {
    match c {
        '0' => 'o',
        '1' | '!' | '|' => one,
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' | '+' => 't',
        _ => c.to_lowercase().next().unwrap_or(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_disguise_is_similar() {
        let about = ["johnsmith", "john.smith@example.com"];
        for password in [
            "johnsmith",
            "JohnSmith2024!",
            "htimsnhoj2024",
            "J0hn5m1th-2024",
            "j.o.h.n.s.m.i.t.h",
            "smith-smith-smith",
            "johnsmyth",
            "example2024!!",
            "John Smith",
            "elpmaxe-john-1",
        ] {
            assert!(is_similar(password, &about, 12), "{password}");
        }
    }

    #[test]
    fn a_password_that_has_enough_beside_the_name_or_nothing_of_it_is_not() {
        let about = ["johnsmith", "john.smith@example.com"];
        for password in
            ["correct horse battery", "john loves his old bicycle", "kq7#mmTz!w2pLx", "johannes-brahms-op", ""]
        {
            assert!(!is_similar(password, &about, 12), "{password}");
        }
        assert!(!is_similar("mannheim by the river", &["ann", ""], 12), "short words are part of too much");
        assert!(is_similar("janedoe-2024-x", &["jane.doe"], 12), "all of it as one word");
        assert!(is_similar("l1ly-2024-xx", &["lily"], 12) && is_similar("b1llybob-2024", &["billybob"], 12));
    }
}

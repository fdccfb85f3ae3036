//! Bearer tokens for `/v1`.
//!
//! It must not leave early: how long a comparison takes must not tell how much of a token was right.

use http::{HeaderMap, StatusCode, header};

use super::problem::Problem;

/// Lets the request pass when no tokens are set, or when it brings one of them.
pub(crate) fn check(headers: &HeaderMap, tokens: &[String]) -> Result<(), Problem> {
    if tokens.is_empty() {
        return Ok(());
    }
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|v| v.as_bytes().split_at_checked(7))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "))
        .map(|(_, token)| token);
    let known = |given: &[u8]| {
        tokens
            .iter()
            .fold(false, |hit, t| hit | same(t.as_bytes(), given))
    };
    if given.is_some_and(known) {
        return Ok(());
    }
    let detail = "send `Authorization: Bearer <token>` with a known token";
    Err(Problem::new(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "a bearer token is needed",
    )
    .detail(detail)
    .at("@authorization"))
}

fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |diff, (x, y)| diff | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_known_token_passes() {
        let tokens = vec!["0123456789abcdef".to_owned(), "fedcba9876543210".to_owned()];
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            check(&headers, &tokens).map_err(|p| p.status().as_u16())
        };
        assert_eq!(with("Bearer fedcba9876543210"), Ok(()));
        assert_eq!(with("bearer 0123456789abcdef"), Ok(()));
        for bad in [
            "Bearer fedcba987654321",
            "Bearer ",
            "Basic fedcba9876543210",
            "x",
        ] {
            assert_eq!(with(bad), Err(401), "{bad}");
        }
        assert_eq!(check(&HeaderMap::new(), &[]).map_err(|_| ()), Ok(()));
    }
}

//! The story with the client that progenitor made.
use std::{env, error::Error};

use api::{Client, ResponseValue, types};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::TryStreamExt;
use reqwest::header::{AUTHORIZATION, HeaderMap};

#[allow(dead_code, unused_imports)]
mod api {
    include!(concat!(env!("OUT_DIR"), "/api.rs"));
}

const EMAIL: &str = "ada@example.org";

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let [base, password] = env::args().skip(1).collect::<Vec<_>>().try_into().expect("BASE PASSWORD");
    let ada = signed_in(&base, &password)?;
    let account = types::NewAccount { email: EMAIL.parse()?, password: password.parse()? };
    let up = Client::new(&base).sign_up(Some(&"key-1".parse()?), &account).await?;
    assert_eq!(*up.balance, 10);

    let paid = adjust(&ada, 30, "key-2").await?;
    assert_eq!(*paid.balance, 40);
    let again = adjust(&ada, 30, "key-2").await?;
    assert!(again.headers().contains_key("Idempotent-Replayed") && *again.position == *paid.position);

    let question = types::Question { text: "a robbery inside a dream".parse()?, limit: 2.try_into()?, as_typed: vec![], filters: vec![], instead_of: None };
    let asked = ada.predict(Some(&"key-3".parse()?), Some("wait=30"), &question).await?;
    assert!(*asked.status == "completed" && asked.movies.len() == 2, "{asked:?}");
    let ended = asked.end_position.as_ref();
    assert_eq!(*ada.balance(ended, None).await?.balance, 35);

    let page = ada.transactions(None, None, Some(2.try_into()?), ended, None, None, None).await?;
    let rest = ada.transactions(Some(&page.next_cursor.parse()?), None, Some(2.try_into()?), ended, None, None, None).await?;
    let amounts: Vec<i64> = page.items.iter().chain(&rest.items).map(|line| *line.amount).collect();
    assert_eq!(amounts, [-5, 30, 10]);

    assert_eq!(*adjust(&ada, -12, "key-4").await?.balance, 23);
    match adjust(&ada, -1000, "key-5").await {
        Err(api::Error::ErrorResponse(refused)) => {
            assert_eq!(refused.status(), 402);
            // progenitor gives types to application/json only, and a problem as bytes.
            let body = refused.into_inner_stream().try_collect::<Vec<_>>().await?.concat();
            let problem: types::Problem = serde_json::from_slice(&body)?;
            assert_eq!(*problem.code, "insufficient_funds");
        }
        other => panic!("{other:?}"),
    }
    Ok(())
}

fn signed_in(base: &str, password: &str) -> Outcome<Client> {
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{EMAIL}:{password}")));
    let headers = HeaderMap::from_iter([(AUTHORIZATION, basic.parse()?)]);
    Ok(Client::new_with_client(base, reqwest::Client::builder().default_headers(headers).build()?))
}

async fn adjust(ada: &Client, amount: i64, key: &str) -> Result<ResponseValue<types::Moved>, api::Error<api::ByteStream>> {
    let to = types::Adjustment::Move(types::Move { amount: types::Amount(amount), user_id: None });
    ada.adjust(Some(&key.parse().unwrap()), &to).await
}

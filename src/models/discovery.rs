//! Looks for model servers on this machine, at the ports where they usually are, and tells by what they answer which they
//! are. All at once, each for a moment only, through the one way out.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;

use super::frames::is_crowded;
use super::{Holder, Kind, ModelInfo, Models};
use crate::egress::{HeaderMap, Method, Reach, Request, Target};

/// Where to look: Ollama, llama.cpp (and LocalAI, llamafile), KoboldCpp, LM Studio, text-generation-webui (and TabbyAPI),
/// vLLM, Jan, SGLang, Aphrodite.
const PORTS: [u16; 9] = [11434, 8080, 5001, 1234, 5000, 8000, 1337, 30000, 2242];
/// How long a server on this machine may take for a word about itself.
const PATIENCE: Duration = Duration::from_millis(700);
/// More than a list of models takes.
const ANSWER_MAX: usize = 1024 * 1024;
/// More than anybody chooses from.
const MODELS_MAX: usize = 500;

/// A server that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The dialect that is best spoken with it.
    pub kind: Kind,
    /// What it is.
    pub name: &'static str,
    /// Where it is.
    pub base_url: String,
    /// The models that it has.
    pub models: Vec<ModelInfo>,
}

/// What a server at a port answered.
#[derive(Debug, Default)]
struct Answers {
    /// `/v1/models`: OpenAI's list.
    models: Option<Value>,
    /// `/api/tags`: Ollama's list.
    tags: Option<Value>,
    /// `/api/extra/version`: KoboldCpp.
    kobold: Option<Value>,
    /// `/api/v1/model`: KoboldCpp's model.
    kobold_model: Option<Value>,
    /// `/props`: llama.cpp.
    props: Option<Value>,
    /// `/v1/internal/model/info`: text-generation-webui.
    webui: Option<Value>,
    /// `/api/v0/models`: LM Studio.
    studio: Option<Value>,
}

impl Models {
    /// The model servers on this machine that `holder` may ask. `ours` is the port of this server.
    pub async fn discover(&self, holder: &Holder, ours: u16) -> Vec<Found> {
        let ports: Vec<u16> = PORTS.into_iter().filter(|port| *port != ours).collect();
        self.discover_at(holder, &ports).await
    }

    /// Those at these ports, in their order.
    async fn discover_at(&self, holder: &Holder, ports: &[u16]) -> Vec<Found> {
        let reach = match holder {
            Holder::House => Reach::House,
            Holder::User(_) => Reach::Own,
        };
        let looks = ports.iter().map(|port| self.look_at(reach, *port));
        join_all(looks).await.into_iter().flatten().collect()
    }

    async fn look_at(&self, reach: Reach, port: u16) -> Option<Found> {
        let base = format!("http://127.0.0.1:{port}");
        let get = |path: &str| self.look(reach, format!("{base}{path}"));
        let (models, tags, kobold, kobold_model, props, webui, studio) = tokio::join!(
            get("/v1/models"),
            get("/api/tags"),
            get("/api/extra/version"),
            get("/api/v1/model"),
            get("/props"),
            get("/v1/internal/model/info"),
            get("/api/v0/models"),
        );
        recognise(&base, port, &Answers { models, tags, kobold, kobold_model, props, webui, studio })
    }

    /// What a server says there, if it is JSON and comes at once.
    async fn look(&self, reach: Reach, address: String) -> Option<Value> {
        let target = Target::parse(&address).ok()?;
        let request =
            Request { method: Method::GET, target, headers: HeaderMap::new(), body: None, patience: PATIENCE };
        let answer = self.egress.send(reach, request).await.ok()?;
        if answer.status != 200 {
            return None;
        }
        let body = answer.at_most(ANSWER_MAX).whole(PATIENCE).await.ok()?;
        if is_crowded(&body) { None } else { serde_json::from_slice(&body).ok() }
    }
}

/// What a server is, by its answers. Some imitate others, so those that only one gives are looked at first.
fn recognise(base: &str, port: u16, answers: &Answers) -> Option<Found> {
    let listed = answers.models.as_ref().and_then(|list| ids(list.get("data")?, "id"));
    // Where a server applies the model's own template, chat needs no template from here.
    let chat = |name| {
        let models = listed.clone()?;
        Some(Found { kind: Kind::OpenAi, name, base_url: format!("{base}/v1"), models })
    };
    let own = |kind, name, models| Some(Found { kind, name, base_url: base.to_owned(), models });
    let text = |value: &Option<Value>, field: &str| {
        value.as_ref().and_then(|value| value.get(field)).and_then(Value::as_str).map(str::to_owned)
    };
    if text(&answers.kobold, "result").is_some_and(|name| name.eq_ignore_ascii_case("KoboldCpp")) {
        let model = text(&answers.kobold_model, "result").map(|id| ModelInfo { id, name: None, context: None });
        return chat("KoboldCpp").or_else(|| own(Kind::KoboldCpp, "KoboldCpp", model.into_iter().collect()));
    }
    if let Some(models) = answers.tags.as_ref().and_then(|list| ids(list.get("models")?, "name")) {
        return own(Kind::Ollama, "Ollama", models);
    }
    if answers.props.as_ref().is_some_and(|props| props.get("default_generation_settings").is_some()) {
        return chat("llama.cpp").or_else(|| own(Kind::LlamaCpp, "llama.cpp", Vec::new()));
    }
    if answers.webui.as_ref().is_some_and(|info| info.get("model_name").is_some()) {
        return chat("text-generation-webui").or_else(|| own(Kind::Text, "text-generation-webui", Vec::new()));
    }
    if answers.studio.as_ref().is_some_and(|list| list.get("data").is_some_and(Value::is_array)) {
        return chat("LM Studio");
    }
    let owner = answers.models.as_ref().and_then(|list| list.pointer("/data/0/owned_by")).and_then(Value::as_str);
    match (owner, port) {
        (Some("vllm"), _) => chat("vLLM"),
        (Some("llamacpp"), _) => chat("llama.cpp"),
        (Some("sglang"), _) => chat("SGLang"),
        (Some("tabbyAPI"), _) => chat("TabbyAPI"),
        (_, 1234) => chat("LM Studio"),
        (_, 1337) => chat("Jan"),
        _ => chat("OpenAI-compatible server"),
    }
}

/// The models of a list; none if it is no such list.
fn ids(list: &Value, field: &str) -> Option<Vec<ModelInfo>> {
    let models = list.as_array()?.iter().map(|model| {
        let id = model.get(field)?.as_str().filter(|id| !id.is_empty() && !id.chars().any(char::is_control))?;
        Some(ModelInfo { id: id.to_owned(), name: None, context: None })
    });
    let models: Vec<ModelInfo> = models.collect::<Option<_>>()?;
    // Models that only turn texts into numbers cannot be talked to.
    Some(models.into_iter().filter(|model| !model.id.contains("embed")).take(MODELS_MAX).collect())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Instant;

    use super::super::fake::{FakeModel, Instead, Speaks};
    use super::*;
    use crate::config::{Config, PrivateHosts};
    use serde_json::json;

    fn models(hosts: &[&str]) -> Models {
        let mut config = Config::for_testing("unused");
        config.enable_user_accounts = true;
        config.models.allow_private_hosts = PrivateHosts::parse(hosts.iter().copied()).unwrap();
        Models::new(&config)
    }

    /// Real servers at real ports, among them some that are none, are silent, talk nonsense or never end.
    #[tokio::test(flavor = "multi_thread")]
    async fn servers_are_found_where_they_are() {
        let ollama = FakeModel::start(Speaks::Ollama);
        let openai = FakeModel::start(Speaks::OpenAi);
        let llama = FakeModel::start(Speaks::LlamaCpp);
        let kobold = FakeModel::start(Speaks::KoboldCpp);
        kobold.plan(|plan| {
            let version = json!({ "result": "KoboldCpp", "version": "1.90" });
            plan.documents = vec![("/api/extra/version".to_owned(), version)];
        });
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let endless = FakeModel::start(Speaks::OpenAi);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
        endless.does_instead(Instead::Flood(head.to_owned(), vec![b'['; 65536]));
        let slow = FakeModel::start(Speaks::OpenAi);
        slow.does_instead(Instead::Drip(vec![b'x'; 10_000], Duration::from_millis(50)));
        let page = FakeModel::start(Speaks::OpenAi);
        page.does_instead(Instead::Status(200, "<html>".to_owned()));
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let all = [&ollama, &openai, &llama, &kobold, &endless, &slow, &page].map(|model| model.address().port());
        let ports = [&all[..], &[silent.local_addr().unwrap().port(), nobody]].concat();

        let begun = Instant::now();
        let found = models(&["127.0.0.1"]).discover_at(&Holder::House, &ports).await;
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        let told: Vec<(Kind, &str, String, usize)> =
            found.into_iter().map(|found| (found.kind, found.name, found.base_url, found.models.len())).collect();
        assert_eq!(
            told,
            [
                (Kind::Ollama, "Ollama", ollama.base_url(), 2),
                (Kind::OpenAi, "OpenAI-compatible server", openai.base_url(), 2),
                (Kind::OpenAi, "llama.cpp", format!("{}/v1", llama.base_url()), 2),
                (Kind::KoboldCpp, "KoboldCpp", kobold.base_url(), 1),
            ]
        );
        assert!(ollama.asked().iter().all(|asked| asked.method == "GET" && asked.header("authorization").is_none()));
    }

    /// Whoever may not reach a port learns nothing of it, and nobody is asked there.
    #[tokio::test(flavor = "multi_thread")]
    async fn ports_that_one_may_not_reach_are_not_asked() {
        let model = FakeModel::start(Speaks::Ollama);
        let ada = Holder::User(crate::store::Handle::parse("ada").unwrap());
        assert_eq!(models(&[]).discover_at(&ada, &[model.address().port()]).await, []);
        assert_eq!(model.connections(), 0);
        assert_eq!(models(&["127.0.0.1"]).discover_at(&ada, &[model.address().port()]).await.len(), 1);
    }

    fn found(port: u16, answers: Answers) -> Option<(Kind, &'static str, String, Vec<String>)> {
        let found = recognise(&format!("http://127.0.0.1:{port}"), port, &answers)?;
        Some((found.kind, found.name, found.base_url, found.models.into_iter().map(|model| model.id).collect()))
    }

    fn list(owner: &str) -> Option<Value> {
        Some(json!({ "object": "list", "data": [
            { "id": "big", "object": "model", "owned_by": owner }, { "id": "text-embedding-small", "owned_by": owner },
        ] }))
    }

    #[test]
    fn servers_are_told_by_what_they_answer() {
        let none = Answers::default;
        let big = || vec!["big".to_owned()];
        let tags = Some(json!({ "models": [{ "name": "llama3:8b", "size": 1 }] }));
        let koboldcpp = Some(json!({ "result": "KoboldCpp", "version": "1.90" }));
        let props = Some(json!({ "default_generation_settings": {} }));
        let cases = [
            (
                Answers { tags: tags.clone(), models: list("library"), ..none() },
                (Kind::Ollama, "Ollama", "http://127.0.0.1:9", vec!["llama3:8b".to_owned()]),
            ),
            (
                // It speaks Ollama's dialect as well.
                Answers { kobold: koboldcpp.clone(), tags, models: list("koboldcpp"), ..none() },
                (Kind::OpenAi, "KoboldCpp", "http://127.0.0.1:9/v1", big()),
            ),
            (
                Answers { kobold: koboldcpp, kobold_model: Some(json!({ "result": "koboldcpp/big" })), ..none() },
                (Kind::KoboldCpp, "KoboldCpp", "http://127.0.0.1:9", vec!["koboldcpp/big".to_owned()]),
            ),
            (
                Answers { props: props.clone(), models: list("llamacpp"), ..none() },
                (Kind::OpenAi, "llama.cpp", "http://127.0.0.1:9/v1", big()),
            ),
            (Answers { props, ..none() }, (Kind::LlamaCpp, "llama.cpp", "http://127.0.0.1:9", Vec::new())),
            (
                Answers { webui: Some(json!({ "model_name": "x" })), models: list("user"), ..none() },
                (Kind::OpenAi, "text-generation-webui", "http://127.0.0.1:9/v1", big()),
            ),
            (
                Answers { studio: list("x"), models: list("x"), ..none() },
                (Kind::OpenAi, "LM Studio", "http://127.0.0.1:9/v1", big()),
            ),
            (Answers { models: list("vllm"), ..none() }, (Kind::OpenAi, "vLLM", "http://127.0.0.1:9/v1", big())),
            (
                Answers { models: list("me"), ..none() },
                (Kind::OpenAi, "OpenAI-compatible server", "http://127.0.0.1:9/v1", big()),
            ),
        ];
        for (answers, (kind, name, base, models)) in cases {
            assert_eq!(found(9, answers), Some((kind, name, base.to_owned(), models)));
        }
    }

    #[test]
    fn other_things_are_not_taken_for_model_servers() {
        for answer in [json!({}), json!([]), json!("data"), json!({ "data": {} }), json!({ "data": [{ "id": 5 }] })] {
            let answers = Answers {
                models: Some(answer.clone()),
                tags: Some(answer.clone()),
                kobold: Some(answer.clone()),
                kobold_model: Some(answer.clone()),
                props: Some(answer.clone()),
                webui: Some(answer.clone()),
                studio: Some(answer),
            };
            assert_eq!(found(8000, answers), None);
        }
    }
}

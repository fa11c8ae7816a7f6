//! OpenAPI documents (F41).

use tempfile::NamedTempFile;

use super::*;

const SHOP: &str = r##"
openapi: 3.1.0
info: { title: Shop, version: "1" }
servers: [{ url: https://api.test/v1 }]
paths:
  /users:
    parameters: [{ $ref: "#/components/parameters/Tenant" }]
    get:
      parameters:
        - { name: limit, in: query, schema: { type: integer, minimum: 1, maximum: 100 } }
        - { name: ids, in: query, explode: false, schema: { type: array, items: { type: integer }, maxItems: 3 } }
        - { name: state, in: query, schema: { type: array, items: { enum: [a, b], type: string } } }
        - { name: any, in: query, schema: { oneOf: [{ type: integer }, { const: all }] } }
        - { name: session, in: cookie, schema: { type: string, maxLength: 3 } }
      responses: { 200: { description: ok } }
    post:
      requestBody: { $ref: "#/components/requestBodies/User" }
      responses: { 201: { description: made } }
  /users/{id}:
    put:
      parameters: [{ name: id, in: path, required: true, schema: { type: integer } }]
      requestBody:
        content:
          application/json: { schema: { $ref: "#/components/schemas/User" } }
          image/*: {}
      responses: { 200: { description: ok } }
components:
  parameters:
    Tenant: { name: X-Tenant, in: header, required: true, schema: { type: string, pattern: "^t-" } }
  requestBodies:
    User: { required: true, content: { application/json: { schema: { $ref: "#/components/schemas/User" } } } }
  schemas:
    User:
      type: object
      required: [id, name, email]
      properties:
        id: { type: integer, readOnly: true }
        name: { type: string, minLength: 3 }
        email: { type: string, format: email }
        friends: { type: array, items: { $ref: "#/components/schemas/User" } }
      additionalProperties: false
"##;

pub(crate) async fn with(document: &str, terms: &str) -> (NamedTempFile, Upstream, TestGateway) {
    let file = NamedTempFile::with_suffix(".yaml").expect("a file");
    std::fs::write(file.path(), document).expect("written");
    let (upstream, gateway) = guarded(&format!("{{ openapi: {{ file: {:?} {terms} }} }}", file.path())).await;
    (file, upstream, gateway)
}

#[tokio::test]
async fn requests_are_held_against_the_operation_of_the_document() {
    let (_file, upstream, gateway) = with(SHOP, "").await;
    let ask = |method: Method, path: &str, body: &str| {
        let request = gateway.request(method, path).header("X-Tenant", "t-1");
        match body {
            "" => request,
            body => request.header("Content-Type", "application/json").body(body.to_owned()),
        }
        .send()
    };
    for (method, path, body) in [
        (Method::GET, "/v1/users", ""),
        (Method::HEAD, "/v1/users?limit=100&ids=1,2,3&state=a&state=b&any=7&more=x", ""),
        (Method::GET, "/v1/users?any=all", ""),
        (Method::POST, "/v1/users", "{\"name\":\"Anna\",\"email\":\"a@b.test\",\"friends\":[]}"),
        (Method::PUT, "/v1/users/7", "{\"name\":\"Anna\",\"email\":\"a@b.test\"}"),
        (Method::PUT, "/v1/users/7", ""),
    ] {
        ask(method.clone(), path, body).await.expect(200);
        let seen = upstream.wait_for(1).await.remove(0);
        assert_eq!((seen.target.as_str(), seen.text().as_str()), (path, body), "{method}");
        upstream.forget();
    }
    for (method, path, body, status, found) in [
        (Method::GET, "/v1/users?limit=0", "", 400, "query limit: it must be at least 1"),
        (Method::GET, "/v1/users?ids=1,x", "", 400, "query ids: it must be a whole number"),
        (Method::GET, "/v1/users?ids=1,2,3,4", "", 400, "query ids: it must have at most 3 items"),
        (Method::GET, "/v1/users?state=c", "", 400, "query state: it is none of the values that it may have"),
        (Method::GET, "/v1/users?any=x", "", 400, "query any: it has none of the forms that it may have"),
        (Method::GET, "/v1/users", "{}", 400, ": there must be none"),
        (Method::POST, "/v1/users", "", 400, ": there must be one"),
        (Method::POST, "/v1/users", "{\"name\":\"Anna\"}", 400, "/email: it is missing"),
        (
            Method::POST,
            "/v1/users",
            "{\"name\":\"Anna\",\"email\":\"a@b.test\",\"friends\":[{\"name\":\"Ben\",\"email\":\"b@b.test\",\"x\":1}]}",
            400,
            "/friends/0/x: there is no such member",
        ),
        (Method::PUT, "/v1/users/x", "{}", 400, "path id: it must be a whole number"),
        (Method::DELETE, "/v1/users/7", "", 405, ""),
        (Method::GET, "/v1/other", "", 404, ""),
        (Method::GET, "/users", "", 404, ""),
    ] {
        let answer = ask(method, path, body).await.expect(status);
        match status {
            400 => assert_eq!(errors(&answer), [found], "{path}"),
            405 => assert_eq!(answer.header("allow"), Some("PUT")),
            _ => assert_eq!(answer.json()["code"], "unknown_operation"),
        }
    }
    let request = gateway.request(Method::GET, "/v1/users").header("Cookie", "a=b; session=long");
    let answer = request.header("X-Tenant", "x").send().await.expect(400);
    assert_eq!(
        errors(&answer),
        [
            "header X-Tenant: it does not have the form that it must have",
            "cookie session: it must have at most 3 characters",
        ]
    );
    assert!(upstream.requests().is_empty());
    assert_eq!(failures(&gateway, "enforce", "operation").await, 3.0);
}

#[tokio::test]
async fn a_type_that_is_listed_and_is_no_json_is_not_looked_into() {
    let (_file, upstream, gateway) = with(SHOP, "").await;
    let put = |kind: &str| gateway.request(Method::PUT, "/v1/users/7").header("Content-Type", kind).body("no json");
    put("image/png").send().await.expect(200);
    assert_eq!(upstream.request().text(), "no json");
    put("text/plain").send().await.expect(415);
    put("application/json").send().await.expect(400);
}

#[tokio::test]
async fn what_the_document_does_not_know_goes_on_where_that_is_wanted() {
    let (_file, upstream, gateway) = with(SHOP, ", unknown: allow, base_path: /shop").await;
    for (method, path) in [(Method::GET, "/v1/users"), (Method::DELETE, "/shop/users"), (Method::GET, "/shop/x")] {
        gateway.request(method, path).header("Content-Type", "x").body("anything").send().await.expect(200);
    }
    upstream.wait_for(3).await;
    get(&gateway, "/shop/users").await.expect(400);
}

#[tokio::test]
async fn documents_of_3_0_mean_what_they_mean_there() {
    let document = r#"{
        "openapi": "3.0.3", "info": { "title": "x", "version": "1" },
        "paths": { "/a": { "post": {
            "requestBody": { "content": { "application/json": { "schema": { "type": "object", "properties": {
                "name": { "type": "string", "nullable": true },
                "size": { "type": "number", "minimum": 0, "exclusiveMinimum": true },
                "id": { "type": "string", "format": "uuid" }
            } } } } }, "responses": {} } } }
    }"#;
    let (_file, _upstream, gateway) = with(document, "").await;
    let post = async |body: &str| {
        let request = gateway.post("/a").header("Content-Type", "application/json").body(body.to_owned());
        request.send().await.status
    };
    assert_eq!(post("{\"name\":null,\"size\":0.1}").await, 200);
    assert_eq!(post("{\"name\":1}").await, 400);
    assert_eq!(post("{\"size\":0}").await, 400);
    assert_eq!(post("{\"id\":\"x\"}").await, 400);
}

use std::time::Instant;
#[path="../tests/gateway/mod.rs"] mod gateway;
fn main(){
    let mut t=String::from("listeners: [{bind: \"0.0.0.0:80\"}]\nupstreams:\n  users: { targets: [\"a:1\"] }\nrouting:\n  routes:\n");
    for i in 0..50000 { t.push_str(&format!("    - name: route-number-{i}\n      match:\n        host: api-{i}.example.com\n        path: /v1/users/{i}/**\n        methods: [GET, POST]\n      upstream: users\n      plugins:\n        ratelimit:\n          limits:\n            - {{ rate: 100/15m, per: client }}\n")); }
    println!("{} MB", t.len()/1_000_000);
    let env=[("X","y")];
    for _ in 0..2 {
    let s=Instant::now(); let v: serde_yaml::Value = serde_yaml::from_str(&t).unwrap(); println!("serde_yaml::Value {:?}", s.elapsed()); drop(v);
    let s=Instant::now(); let d=tidegate_config::Document::parse(&t,&env).unwrap(); println!("parse {:?}", s.elapsed());
    let s=Instant::now(); let g=d.root().read::<gateway::Gateway>().unwrap(); println!("read {:?}", s.elapsed());
    let s=Instant::now(); g.check().unwrap(); println!("check {:?}", s.elapsed());
    }
    let t2=t.replace("route-number-777\n","${X}\n");
    let s=Instant::now(); let d=tidegate_config::Document::parse(&t2,&env).unwrap(); println!("parse with interpolation {:?}", s.elapsed()); drop(d);
    let bad=t.replace("per: client","per: ip");
    let s=Instant::now(); let d=tidegate_config::Document::parse(&bad,&env).unwrap(); println!("parse {:?}", s.elapsed());
    let s=Instant::now(); let g=d.root().read::<gateway::Gateway>().unwrap(); let e=g.check().unwrap_err(); println!("check {} {:?}", e.len(), s.elapsed());
    let s=Instant::now(); let r=d.render(&e).to_string(); println!("render {:?} {}", s.elapsed(), r.len());
    let bad=t.replace("upstream: users","upstrem: users");
    let d=tidegate_config::Document::parse(&bad,&env).unwrap();
    let s=Instant::now(); let e=d.root().read::<gateway::Gateway>().unwrap_err(); println!("read all wrong {} {:?}", e.len(), s.elapsed());
    let bad=format!("{t}\nrouting: 5\n");
    let s=Instant::now(); let e=tidegate_config::Document::parse(&bad,&env).unwrap_err(); println!("dup {:?} {}", s.elapsed(), e);
}

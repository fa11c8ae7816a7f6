// A router as single-page applications have one: links change the address without a request.
import { user } from "/assets/users.77aa.js";

const app = document.getElementById("app");

async function show() {
  delete app.dataset.ready;
  const id = location.pathname.match(/^\/users\/(\d+)$/)?.[1];
  const greeting = (await (await fetch("/data/greeting.json")).json()).greeting;
  const styled = getComputedStyle(app).fontWeight === "700" ? "styled" : "unstyled";
  app.textContent = `${greeting} ${id ? user(id) : "home"}, ${styled}`;
  await Promise.all([...document.images].map((image) => image.decode()));
  app.dataset.ready = "";
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link) return;
  event.preventDefault();
  history.pushState(null, "", link.href);
  show();
});
addEventListener("popstate", show);
show();

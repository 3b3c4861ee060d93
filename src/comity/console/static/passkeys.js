// SPDX-License-Identifier: Apache-2.0
// Forms marked data-passkey: ask for a challenge, let the browser use or make a passkey, send what it says.
// What the node sends is JSON of WebAuthn Level 3, in which bytes are base64url.
"use strict";
(() => {
  const decode = (text) =>
    Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
  const encode = (data) =>
    btoa(String.fromCharCode(...new Uint8Array(data))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

  const send = async (path, fields) => {
    const answer = await fetch(path, { method: "POST", body: new URLSearchParams(fields) });
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.error.message);
    return said;
  };

  const use = async (kind, options) => {
    const publicKey = { ...options, challenge: decode(options.challenge) };
    if (options.user) publicKey.user = { ...options.user, id: decode(options.user.id) };
    for (const name of ["excludeCredentials", "allowCredentials"]) {
      if (options[name]) publicKey[name] = options[name].map((item) => ({ ...item, id: decode(item.id) }));
    }
    const made = await navigator.credentials[kind]({ publicKey });
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (made.response[name]) response[name] = encode(made.response[name]);
    }
    return JSON.stringify({ id: made.id, rawId: encode(made.rawId), type: made.type, response });
  };

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    if (!window.PublicKeyCredential) continue;
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const told = form.querySelector("[data-told]");
      const button = form.querySelector("button");
      const fields = Object.fromEntries(new FormData(form));
      const path = form.getAttribute("action");
      told.hidden = true;
      button.disabled = true;
      try {
        const options = await send(`${path}/options`, fields);
        const response = await use(form.dataset.passkey, options);
        location.assign((await send(path, { ...fields, response })).to);
      } catch (error) {
        told.textContent = error.name === "NotAllowedError" ? "No passkey was used." : error.message;
        told.hidden = false;
        button.disabled = false;
      }
    });
  }

  // The code of an invitation behind the fragment, which was not sent to anybody, goes into its field and out of sight.
  const field = document.querySelector("[data-fragment]");
  if (field && location.hash.length > 1) {
    field.value = location.hash.slice(1);
    history.replaceState(null, "", location.pathname);
  }
})();

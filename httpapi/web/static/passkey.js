// Passkeys (WebAuthn): a new one on its page, and one in place of a code. Without this script
// codes work all the same.
'use strict';

(() => {
  const fresh = document.querySelector('form[data-offer]');
  const instead = document.querySelector('[data-passkey-instead]');
  if (!window.PublicKeyCredential) {
    if (fresh) document.querySelector('[data-no-passkeys]').hidden = false;
    return;
  }

  const bytesOf = (text) => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
  const textOf = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
  const listed = (list) => (list || []).map((c) => ({ ...c, id: bytesOf(c.id) }));
  const whole = (credential, response) => ({ id: credential.id, rawId: textOf(credential.rawId), type: credential.type, response });

  async function make({ publicKey }) {
    const credential = await navigator.credentials.create({ publicKey: {
      ...publicKey, challenge: bytesOf(publicKey.challenge), user: { ...publicKey.user, id: bytesOf(publicKey.user.id) }, excludeCredentials: listed(publicKey.excludeCredentials) } });
    const { clientDataJSON, attestationObject } = credential.response;
    return whole(credential, { clientDataJSON: textOf(clientDataJSON), attestationObject: textOf(attestationObject), transports: credential.response.getTransports?.() ?? [] });
  }

  async function sign({ publicKey }) {
    const credential = await navigator.credentials.get({ publicKey: { ...publicKey, challenge: bytesOf(publicKey.challenge), allowCredentials: listed(publicKey.allowCredentials) } });
    const { clientDataJSON, authenticatorData, signature, userHandle } = credential.response;
    return whole(credential, { clientDataJSON: textOf(clientDataJSON), authenticatorData: textOf(authenticatorData), signature: textOf(signature), ...(userHandle && { userHandle: textOf(userHandle) }) });
  }

  // A form that is refused redirects to its page, which is loaded again to show why.
  async function post(address, options) {
    const response = await fetch(address, { method: 'POST', redirect: 'manual', ...options });
    if (response.type === 'opaqueredirect') {
      location.reload();
      return new Promise(() => {});
    }
    if (response.status === 204) return null;
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.code);
    return answer;
  }

  const show = (fault, sentence) => {
    fault.textContent = sentence;
    fault.hidden = !sentence;
  };

  // The button is pressed once at a time.
  async function pressed(button, fault, sentenceOf, act) {
    button.disabled = true;
    show(fault, '');
    try {
      await act();
    } catch (error) {
      show(fault, sentenceOf(error));
      button.disabled = false;
    }
  }

  if (fresh) {
    fresh.hidden = false;
    const { failed, known, offer } = fresh.dataset;
    fresh.addEventListener('submit', (event) => {
      event.preventDefault();
      pressed(event.submitter ?? fresh.querySelector('button'), fresh.querySelector('[data-fault]'), (error) => (error.name === 'InvalidStateError' ? known : failed), async () => {
        const asked = await post(offer, { body: new URLSearchParams(new FormData(fresh)) });
        fresh.elements.credential.value = JSON.stringify(await make(asked));
        fresh.submit();
      });
    });
  }

  if (instead) {
    instead.hidden = false;
    const button = instead.querySelector('button');
    const { ask, give, failed, copied } = button.dataset;
    const form = button.form;
    button.addEventListener('click', () => pressed(button, instead.querySelector('.fault'), (error) => (error.message === 'passkey_copied' ? copied : failed), async () => {
      const credential = await sign(await post(ask, give ? {} : { body: new URLSearchParams({ back: form.elements.back.value }) }));
      if (give) await post(give, { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ credential }) });
      form.elements.code.disabled = true; // it is not needed any more
      if (!give) {
        form.elements.credential.value = JSON.stringify(credential);
        return form.requestSubmit();
      }
      form.querySelector('[data-code]').hidden = true;
      instead.hidden = true;
      form.querySelector('[data-passkey-given]').hidden = false;
    }));
  }
})();

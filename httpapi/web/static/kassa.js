// Enhancements of the pages. Without this script everything works too: forms are
// sent, and the page of a waiting question reloads itself.
'use strict';

const language = document.documentElement.lang;

// The server does not know the browser's time zone.
function localTimes(root) {
  const year = new Date().getFullYear();
  const near = new Intl.DateTimeFormat(language, { day: 'numeric', month: 'short', hour: 'numeric', minute: '2-digit' });
  const far = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short' });
  for (const time of root.querySelectorAll('time[datetime]')) {
    const at = new Date(time.dateTime);
    if (!isNaN(at)) time.textContent = (at.getFullYear() === year ? near : far).format(at);
  }
}

// A form that runs a command is sent once. Its button is disabled only after the
// browser has read it, because a disabled button's value is not sent.
function sendOnce(form) {
  form.addEventListener('submit', (event) => {
    if (form.dataset.sent) return event.preventDefault();
    form.dataset.sent = 'yes';
    form.setAttribute('aria-busy', 'true');
    setTimeout(() => {
      for (const button of form.querySelectorAll('button')) button.disabled = true;
      const busy = event.submitter && event.submitter.dataset.busy;
      if (busy) event.submitter.textContent = busy;
    });
  });
}

// A page restored from the browser's cache shows an old balance, and its forms have
// been sent already.
addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });

// Shows how many characters are left when they are few.
function countLeft(box) {
  const left = document.getElementById('text-left');
  const forms = box.dataset.left.split('|');
  const show = () => {
    const n = box.maxLength - box.value.length;
    left.textContent = n < 200 ? counted(forms, n) : '';
  };
  box.addEventListener('input', show);
  show();
}

// An example fills the text box in place, instead of opening a page with it filled.
function fillFrom(link, box) {
  link.addEventListener('click', (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    box.value = link.textContent;
    box.dispatchEvent(new Event('input'));
    box.focus();
  });
}

// Loads the page again and shows it in place. Returns whether it could be loaded.
async function refresh() {
  const response = await fetch(location.href, { headers: { Accept: 'text/html' } });
  if (!response.ok || response.redirected) return false;
  const page = new DOMParser().parseFromString(await response.text(), 'text/html');
  const main = page.getElementById('main');
  if (!main) return false;
  const purse = document.querySelector('[data-purse]');
  const fresh = page.querySelector('[data-purse]');
  if (purse && fresh) purse.replaceWith(document.adoptNode(fresh));
  document.title = page.title;
  document.getElementById('main').replaceChildren(...document.adoptNode(main).childNodes);
  improve(document.getElementById('main'));
  const heading = document.querySelector('#main h1');
  document.getElementById('said').textContent = heading ? heading.textContent : page.title;
  return true;
}

// Follows a question until it has ended: by an event stream, or else by polling.
function follow(answer) {
  const address = answer.dataset.waiting;
  let over = false;
  const ended = async (prediction) => {
    if (over || !prediction || prediction.status === 'pending') return over;
    over = true;
    stream.close();
    if (!await refresh().catch(() => false)) location.reload();
    return over;
  };
  const ask = async () => {
    if (over) return;
    try {
      const response = await fetch(address);
      if (response.ok) await ended(await response.json());
      else if (response.status < 500 && response.status !== 429) return location.reload();
    } catch { /* unreachable for now: polled again below */ }
    if (!over) setTimeout(ask, 2000);
  };
  let stream = { close() {} };
  const listen = () => new Promise((closed) => {
    stream = new EventSource(address + '/stream');
    stream.addEventListener('prediction', (event) => ended(JSON.parse(event.data)).then((over) => over && closed()));
    stream.addEventListener('error', () => {
      stream.close();
      setTimeout(ask, 1000);
      closed();
    }, { once: true });
  });
  // A browser opens six connections to one server, and a stream occupies one of them.
  // So only one of all tabs has a stream, and the others poll.
  if (!navigator.locks) ask();
  else navigator.locks.request('kassa-stream', { ifAvailable: true }, (lock) => lock ? listen() : void ask());
}

// Counts on from the server's number of seconds that a question has waited.
function countElapsed(place) {
  const began = performance.now() - 1000 * place.dataset.elapsed;
  const forms = place.dataset.forms.split('|');
  const timer = setInterval(() => {
    if (!place.isConnected) return clearInterval(timer);
    place.textContent = counted(forms, Math.floor((performance.now() - began) / 1000));
  }, 1000);
}

// A number with its noun, in the server's plural forms.
function counted(forms, n) {
  const form = ({ one: 0, few: 1 })[new Intl.PluralRules(language).select(n)] ?? forms.length - 1;
  return forms[form].replace('%s', n);
}

function improve(root) {
  localTimes(root);
  root.querySelectorAll('form[data-once]').forEach(sendOnce);
  const box = root.querySelector('textarea[data-left]');
  if (box) {
    countLeft(box);
    root.querySelectorAll('a[data-fill]').forEach((link) => fillFrom(link, box));
  }
  const elapsed = root.querySelector('[data-elapsed]');
  if (elapsed) countElapsed(elapsed);
  const answer = root.querySelector('[data-waiting]');
  if (answer) follow(answer);
}

improve(document);

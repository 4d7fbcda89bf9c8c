// Checks the form of a film as it is typed, by the server's own rules. Without this script
// the form is checked when it is sent.
'use strict';

for (const form of document.querySelectorAll('form[data-check]')) {
  let waiting;
  let asked = 0;
  const touched = new Set(); // a field that nobody has come to yet is not blamed

  const show = (faults) => {
    for (const field of form.querySelectorAll('[data-field]')) {
      const name = field.dataset.field;
      const sentence = touched.has(name) && faults[name] || '';
      const fault = document.getElementById(name + '-fault');
      if (fault.textContent !== sentence) fault.textContent = sentence;
      fault.hidden = !sentence;
      const box = document.getElementById(name);
      if (!box) continue;
      const described = [document.getElementById(name + '-hint'), sentence && fault].filter(Boolean).map((e) => e.id).join(' ');
      if (described) box.setAttribute('aria-describedby', described); else box.removeAttribute('aria-describedby');
      if (sentence) box.setAttribute('aria-invalid', 'true'); else box.removeAttribute('aria-invalid');
    }
  };

  const check = async () => {
    const number = ++asked;
    try {
      const response = await fetch(form.dataset.check, { method: 'POST', body: new URLSearchParams(new FormData(form)) });
      if (response.ok && number === asked) show(await response.json());
    } catch { /* unreachable for now: the form is checked when it is sent */ }
  };

  for (const fault of form.querySelectorAll('.fault:not([hidden])')) touched.add(fault.closest('[data-field]').dataset.field);
  form.addEventListener('input', (event) => {
    const field = event.target.closest('[data-field]');
    if (field) touched.add(field.dataset.field);
    clearTimeout(waiting);
    waiting = setTimeout(check, 400);
  });
}

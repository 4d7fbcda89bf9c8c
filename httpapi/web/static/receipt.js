// Verifies a receipt (C2SP tlog-proof) in the browser, by WebCrypto. Nothing is sent
// anywhere: the file, the key and the result stay in this page.
'use strict';

(() => {
  const panel = document.getElementById('receipt');
  if (!panel) return;
  panel.hidden = false; // without scripts it could do nothing
  const result = document.getElementById('receipt-result');
  const words = result.dataset;
  const fail = (why) => { throw new Error(words[why] || why); };

  const bytesOf = (base64) => {
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) fail('form');
    return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  };
  const hex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
  const join = (...parts) => {
    const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
    parts.reduce((at, p) => { all.set(p, at); return at + p.length; }, 0);
    return all;
  };
  const sha256 = async (...parts) => new Uint8Array(await crypto.subtle.digest('SHA-256', join(...parts)));
  const same = (a, b) => a.length === b.length && a.every((v, i) => v === b[i]);
  const text = (s) => new TextEncoder().encode(s);

  // readKey reads a public key: name, hash, algorithm and key (golang.org/x/mod/sumdb/note).
  async function readKey(line) {
    const [, name, id, encoded] = /^([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(line.trim()) || fail('badkey');
    const bytes = bytesOf(encoded);
    if (bytes.length !== 33 || bytes[0] !== 1) fail('badkey');
    const hash = (await sha256(text(name + '\n'), bytes)).slice(0, 4);
    if (hex(hash) !== id) fail('badkey');
    return { name, hash, key: await crypto.subtle.importKey('raw', bytes.slice(1), 'Ed25519', false, ['verify']) };
  }

  // openHead verifies the signed head by the key: origin, size and root.
  async function openHead(note, key) {
    const end = note.indexOf('\n\n');
    if (end < 0) fail('form');
    const signed = note.slice(0, end + 1);
    const lines = signed.split('\n');
    if (lines.length !== 4 || !/^[1-9][0-9]{0,15}$/.test(lines[1])) fail('form');
    if (lines[0] !== key.name) fail('foreign');
    for (const line of note.slice(end + 2).split('\n')) {
      const [, name, encoded] = /^— (\S+) (\S+)$/.exec(line) || [];
      if (name !== key.name) continue;
      const bytes = bytesOf(encoded);
      if (!same(bytes.slice(0, 4), key.hash)) continue;
      if (!await crypto.subtle.verify('Ed25519', key.key, bytes.slice(4), text(signed))) fail('foreign');
      return { size: BigInt(lines[1]), root: bytesOf(lines[2]) };
    }
    return fail('foreign');
  }

  // rootOf is the root of the tree that has the leaf at the index, by its path (RFC 9162, 2.1.3.2).
  async function rootOf(leaf, index, size, path) {
    let hash = leaf, at = index, last = size - 1n;
    if (index >= size) fail('path');
    for (const sibling of path) {
      if (last === 0n) fail('path');
      if ((at & 1n) === 1n || at === last) {
        hash = await sha256([1], sibling, hash);
        while ((at & 1n) === 0n && at !== 0n) { at >>= 1n; last >>= 1n; }
      } else {
        hash = await sha256([1], hash, sibling);
      }
      at >>= 1n;
      last >>= 1n;
    }
    if (last !== 0n) fail('path');
    return hash;
  }

  // readEntry reads an entry of the ledger: a format byte, numbers, and texts behind their lengths.
  function readEntry(bytes) {
    let at = 1;
    const number = () => {
      let value = 0n, shift = 0n, byte;
      do {
        if (at >= bytes.length || shift > 63n) fail('form');
        byte = bytes[at++];
        value |= BigInt(byte & 127) << shift;
        shift += 7n;
      } while (byte & 128);
      return value;
    };
    const string = () => {
      const length = Number(number());
      if (at + length > bytes.length) fail('form');
      at += length;
      return new TextDecoder('utf-8', { fatal: true }).decode(bytes.slice(at - length, at));
    };
    if (bytes[0] !== 1) fail('form');
    const position = number();
    number(); // version
    number(); // schema version
    const time = new Date(Number(number() / 1000n));
    string(); // stream
    const type = string();
    string(); // actor
    string(); // cause
    const payload = JSON.parse(string());
    if (at !== bytes.length) fail('form');
    return { position, time, type, payload };
  }

  async function verify(receipt, key) {
    const cut = receipt.indexOf('\n\n');
    const lines = receipt.slice(0, Math.max(cut, 0)).split('\n');
    if (cut < 0 || lines.length < 3 || lines[0] !== 'c2sp.org/tlog-proof@v1' || !lines[1].startsWith('extra ') || !/^index (0|[1-9][0-9]{0,15})$/.test(lines[2])) fail('form');
    const entry = bytesOf(lines[1].slice(6));
    const index = BigInt(lines[2].slice(6));
    const head = await openHead(receipt.slice(cut + 2), await readKey(key));
    const root = await rootOf(await sha256([0], entry), index, head.size, lines.slice(3).map(bytesOf));
    if (!same(root, head.root)) fail('path');
    const read = readEntry(entry);
    if (read.position !== index + 1n) fail('path');
    return { head, read };
  }

  function show(good, lines) {
    result.replaceChildren(...lines.map((line, i) => {
      const part = document.createElement(i === 0 ? 'strong' : 'pre');
      part.textContent = line;
      return part;
    }));
    result.className = good ? 'notice' : 'fault';
  }

  panel.querySelector('button').addEventListener('click', async () => {
    try {
      const file = document.getElementById('receipt-file').files[0];
      if (!file) fail('nofile');
      const { head, read } = await verify(await file.text(), document.getElementById('receipt-key').value);
      show(true, [words.good, `№ ${read.position} (${head.size})\n${read.time.toISOString()}\n${read.type}\n${JSON.stringify(read.payload, null, 2)}`]);
    } catch (error) {
      show(false, [words.bad + ' ' + error.message]);
    }
  });
})();

package web_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

const chromium = "/usr/bin/chromium"

// browserTimeout limits each action in the browser.
const browserTimeout = 30 * time.Second

// browser is one tab of a Chromium process of its own.
type browser struct {
	t       *testing.T
	fixture *fixture
	ctx     context.Context

	mu         sync.Mutex
	complaints []string // errors that the browser reported about the page
}

// browse starts Chromium with a new profile, with or without JavaScript.
func (h *fixture) browse(t *testing.T, language string, scripts bool) *browser {
	t.Helper()
	if _, err := os.Stat(chromium); err != nil {
		t.Fatalf("the pages are tested in Chromium: install it as %s (Debian: apt-get install chromium)", chromium)
	}
	flags := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-quic", true),
		chromedp.UserDataDir(t.TempDir()))
	allocated, freed := chromedp.NewExecAllocator(context.Background(), flags...)
	ctx, closed := chromedp.NewContext(allocated)
	t.Cleanup(func() { closed(); freed() })
	b := &browser{t: t, fixture: h, ctx: ctx}
	// Listen starts the browser, which runs as long as the context.
	if err := chromedp.Listen(ctx, b.onEvent); err != nil {
		t.Fatalf("start %s: %v", chromium, err)
	}
	b.do("set the tab up",
		command(cdplog.Enable, cdp.Empty{}), command(runtime.Enable, cdp.Empty{}),
		command(network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": language}}),
		command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !scripts}))
	return b
}

// command is a protocol command whose result is ignored.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, c, params)
		return err
	})
}

// onEvent collects the browser's complaints: policy violations, failing scripts,
// missing files. Error pages are excepted.
func (b *browser) onEvent(event any) {
	var complaint string
	switch e := event.(type) {
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError && !strings.Contains(e.Entry.Text, "status of 4") {
			complaint = e.Entry.Text + " " + e.Entry.URL
		}
	case *runtime.EventExceptionThrown:
		complaint = (&chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails}).Error()
	}
	if complaint != "" {
		b.mu.Lock()
		b.complaints = append(b.complaints, complaint)
		b.mu.Unlock()
	}
}

// noComplaints checks that there were none.
func (b *browser) noComplaints() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complaints {
		b.t.Errorf("the browser complains: %s", c)
	}
	b.complaints = nil
}

// do runs actions in the tab, each within browserTimeout.
func (b *browser) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserTimeout*time.Duration(len(steps)))
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

// ask evaluates an expression in the page.
func ask[T any](b *browser, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserTimeout)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("evaluate %s: %v", expression, err)
	}
	return v
}

func (b *browser) open(path string) {
	b.t.Helper()
	b.do("open "+path, chromedp.Navigate(b.fixture.url+path))
}

// until waits for an expression to be true. While a page is being replaced it cannot be
// evaluated.
func (b *browser) until(what, expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserTimeout)
	defer cancel()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
		if ok && err == nil {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			b.t.Fatalf("%s: %v; the page shows %q", what, err, ask[string](b, `document.body.innerText`))
		}
	}
}

func (b *browser) press(selector string) {
	b.t.Helper()
	b.do("press "+selector, chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// key presses a key at the current focus.
func (b *browser) key(k string) {
	b.t.Helper()
	b.do("press the key", chromedp.KeyEvent(k))
}

func (b *browser) typeIn(selector, text string) {
	b.t.Helper()
	b.do("type into "+selector, chromedp.SendKeys(chromedp.CSS(selector), text, chromedp.NodeVisible))
}

// signUp signs up by the form.
func (b *browser) signUp(email string) {
	b.t.Helper()
	b.enter("/web/signup", email)
}

func (b *browser) signIn(email string) {
	b.t.Helper()
	b.enter("/web/signin", email)
}

func (b *browser) enter(path, email string) {
	b.t.Helper()
	b.open(path)
	b.typeIn("#email", email)
	b.typeIn("#password", password)
	b.press(fmt.Sprintf("form[action='%s'] button", path))
	b.until("be signed in", `document.querySelector('[data-purse]') !== null`)
}

// widths are those of a phone and of a small laptop.
var widths = []struct{ width, height int64 }{{390, 844}, {1280, 800}}

// capture checks the page at both widths, and saves pictures if a folder is given.
func (b *browser) capture(folder, name string, schemes ...string) {
	b.t.Helper()
	for _, scheme := range append([]string{"light"}, schemes...) {
		for _, w := range widths {
			file := filepath.Join(folder, fmt.Sprintf("%s-%d-%s.png", name, w.width, scheme))
			b.do("look at "+name,
				command(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
					Width: w.width, Height: w.height, DeviceScaleFactor: 1, Mobile: w.width < 600}),
				command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
					{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}}))
			for _, o := range ask[[]string](b, overhanging) {
				b.t.Errorf("%s at %d px, %s: %s", name, w.width, scheme, o)
			}
			if folder != "" {
				b.picture(file)
			}
		}
	}
}

func (b *browser) picture(file string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserTimeout)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(file, png, 0o644)
	}
	if err != nil {
		b.t.Fatalf("take the picture %s: %v", file, err)
	}
}

// overhanging lists elements wider than the window or their container, controls too low
// for touch, and text with a contrast below 4.5.
const overhanging = `(() => {
	const found = [];
	const wide = document.documentElement.scrollWidth - innerWidth;
	if (wide > 0) found.push('the page is ' + wide + ' px wider than the window');
	if (document.body.innerText.includes('%!')) found.push('a sentence has wrong arguments');
	if (document.querySelector('.refusal .figure')?.innerText.startsWith('5')) found.push('this is a fault');
	const channel = (v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
	const rgba = (s) => { const n = s.match(/[\d.]+/g).map(Number); return n.length === 3 ? [...n, 1] : n; };
	const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
	const ground = (e) => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] === 1) return c; } return [255, 255, 255]; };
	for (const e of document.querySelectorAll('body *')) {
		const box = e.getBoundingClientRect();
		if (!box.width || !box.height || !e.checkVisibility() || e.closest('.unseen, .skip, svg')) continue;
		const sheet = e.parentElement.closest('.panel, .ticket, section, main')?.getBoundingClientRect();
		if (sheet && !e.parentElement.closest('.chart-table') && (box.right > sheet.right + 1 || box.left < sheet.left - 1)) found.push(e.outerHTML.slice(0, 80) + ' hangs over its sheet');
		const style = getComputedStyle(e);
		const target = e.matches('button, select, textarea, input:not([type=hidden]), .button, .sections a, .choices a');
		if (target && box.height < 43) found.push(e.outerHTML.slice(0, 80) + ' is ' + box.height + ' px high');
		if (e.disabled || ![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) continue;
		const a = light(rgba(style.color)), b = light(ground(e));
		const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (contrast < 4.5) found.push(e.outerHTML.slice(0, 80) + ' has a contrast of ' + contrast.toFixed(2));
	}
	return found;
})()`

// evaluate runs a script in the page.
func evaluate(script string) chromedp.Action[chromedp.Void] {
	return chromedp.Evaluate[chromedp.Void](script)
}

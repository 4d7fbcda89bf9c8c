package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

const chromium = "/usr/bin/chromium"

// tab is a tab of a real browser, on the real service.
type tab struct {
	t   *testing.T
	ctx context.Context
	url string
}

func browse(t *testing.T, url string) *tab {
	t.Helper()
	if _, err := os.Stat(chromium); err != nil {
		t.Fatalf("the story is told in Chromium: install it as %s (Debian: apt-get install chromium)", chromium)
	}
	flags := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-quic", true), chromedp.WindowSize(1280, 900), chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("ignore-certificate-errors", strings.HasPrefix(url, "https://"))) // docker/check makes its own
	allocated, freed := chromedp.NewExecAllocator(context.Background(), flags...)
	ctx, closed := chromedp.NewContext(allocated)
	t.Cleanup(func() { closed(); freed() })
	// Listen starts the browser, which ends with the context that it is given.
	if err := chromedp.Listen(ctx, func(any) {}); err != nil {
		t.Fatalf("start %s: %v", chromium, err)
	}
	return &tab{t: t, ctx: ctx, url: url}
}

// do runs one step, for half a minute at most.
func (b *tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

func (b *tab) open(path string) {
	b.t.Helper()
	b.do("open "+path, chromedp.Navigate(b.url+path))
}

// enter fills a field and sends its form.
func (b *tab) enter(fields map[string]string, button string) {
	b.t.Helper()
	for field, value := range fields {
		b.do("fill "+field, chromedp.SetValue(field, value))
	}
	b.do("press "+button, chromedp.Click(button))
}

// until waits for what a person would see.
func (b *tab) until(what, expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		if ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression)); err == nil && ok {
			break
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			b.t.Fatalf("waited in vain for: %s", what)
		}
	}
	b.picture(what)
}

// picture keeps a screenshot where KASSA_SCREENSHOTS names a folder.
func (b *tab) picture(name string) {
	folder := os.Getenv("KASSA_SCREENSHOTS")
	if folder == "" {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.MkdirAll(folder, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "story "+name+".png"), png, 0o644)
	}
	if err != nil {
		b.t.Error(err)
	}
}

// storyURL names a service that runs already, on which the story is played instead of
// on one that the test starts; docker/check gives the address of its nginx.
const (
	storyURL   = "KASSA_STORY_URL"
	storyBonus = "KASSA_STORY_BONUS"
)

// The story of the issue, on the real service in a real browser: a person signs
// up, gets a bonus, asks in Russian and in English, runs out, deposits, and sees
// both histories.
func TestStoryInTheBrowser(t *testing.T) {
	if url := os.Getenv(storyURL); url != "" {
		b := browse(t, url)
		bonus, err := strconv.Atoi(os.Getenv(storyBonus))
		if err != nil {
			t.Fatalf("%s says what a new account gets there: %v", storyBonus, err)
		}
		b.arrive(bonus)
		b.ask()
		b.deposit(bonus)
		return
	}
	data := t.TempDir()
	b := browse(t, serve(t, data).url)
	b.arrive(10)
	b.ask()
	b.open("/web")
	b.until("no credits left", `document.querySelector('.short') !== null`)
	b.deposit(10)

	if code, out, complaints := kassa(t, "admin", "grant", person, "--data", data); code != 0 {
		t.Fatalf("%s%s", out, complaints)
	}
	b.until("the admin's page", `(fetch('/web/admin').then(r => { window.admin = r.status === 200 }), window.admin === true)`)
	b.open("/web/admin")
	b.until("the people", fmt.Sprintf(`document.querySelector('main').innerText.includes(%q)`, person))
	mustVerify(t, data)
}

const person = "anna@example.org"

func (b *tab) arrive(bonus int) {
	b.t.Helper()
	b.open("/")
	b.until("the welcome", `location.pathname === '/web' && document.querySelector("a[href='/web/signup']") !== null`)
	b.open("/web/signup")
	b.enter(map[string]string{"#email": person, "#password": password}, "main form button")
	b.until("the bonus", fmt.Sprintf(`document.querySelector('[data-purse]')?.innerText.includes('%d')`, bonus))
}

func (b *tab) ask() {
	b.t.Helper()
	for n, story := range []struct{ text, film string }{
		{"фильм где мужик застрял на острове и разговаривает с мячом", "Cast Away"},
		{"black and white, jurors argue in a hot room", "12 Angry Men"},
	} {
		b.open("/web")
		b.enter(map[string]string{"#text": story.text}, "form[action='/web/ask'] button")
		b.until(fmt.Sprintf("answer %d", n+1), fmt.Sprintf(`document.querySelector('.film h2')?.innerText.includes(%q) && document.querySelectorAll('.film').length === 5`, story.film))
	}
}

func (b *tab) deposit(bonus int) {
	b.t.Helper()
	b.open("/web/deposit")
	b.enter(map[string]string{"#own": "40"}, "form[action='/web/deposit'] button")
	b.until("the deposit", fmt.Sprintf(`document.querySelector('[data-purse]').innerText.includes('%d')`, bonus-2*5+40))
	b.open("/web/transaction-history")
	b.until("the transactions", fmt.Sprintf(`['+%d', '−5', '+40'].every(s => document.querySelector('main').innerText.includes(s))`, bonus))
	b.open("/web/prediction-history")
	b.until("the predictions", `document.querySelector('main').innerText.includes('jurors') && document.querySelector('main').innerText.includes('с мячом')`)
}

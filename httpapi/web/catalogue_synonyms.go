package web

import (
	"net/http"
	"strings"

	"kassa/catalog"
	"kassa/httpapi/editing"
)

const synonymsPath = keptFilmsPath + "/synonyms"

type synonymsPage struct {
	layout
	Groups []catalog.Synonyms
	Words  string // as they were typed, one on each line
	Text   string // of the question that is tried
	Tried  bool
	Trials []trial
	Errors fieldErrors
}

// trial is what a question finds, now or with the group of words.
type trial struct {
	Name    string
	Charged bool
	Films   []film
}

// synonymsTried is how many films a trial of synonyms shows.
const synonymsTried = 5

// synonyms lists the groups of words, and tries one on a question before it counts.
func (p *Pages) synonyms(pc *pageContext) error {
	for _, f := range []*form{synonymsFields, dropSynonymsFields} {
		if d := pc.takeDraft(f); d.Page != "" {
			return pc.showSynonyms(http.StatusOK, d)
		}
	}
	return pc.showSynonyms(http.StatusOK, pc.readDraft(trySynonymsFields))
}

// trySynonyms leads to what a question finds with a group of words; see tryQuestion.
func (p *Pages) trySynonyms(pc *pageContext) error {
	pc.dropDraft(tryFields)
	return pc.back(trySynonymsFields, pc.draftOf(trySynonymsFields), http.StatusOK, pc.showSynonyms)
}

func (pc *pageContext) showSynonyms(status int, d draft) error {
	page := synonymsPage{Words: strings.ReplaceAll(d.get("words"), "\r\n", "\n"), Text: d.get("text"), Errors: pc.fieldErrorsOf(d.Code, 0)}
	var err error
	if page.Groups, err = pc.pages.Editor.Catalogue.Synonyms(pc.r.Context()); err != nil {
		return err
	}
	if d.Code == "" && page.Text != "" {
		now, with, err := pc.triedSynonyms(page.Words, page.Text)
		code, refused, ok := pc.codeOf(err)
		switch {
		case ok:
			status, page.Errors = refused, pc.fieldErrorsOf(code, 0)
		case err != nil:
			return err
		default:
			page.Tried = true
			page.Trials = []trial{pc.trial("synonyms.now", page.Text, now), pc.trial("synonyms.with", page.Text, with)}
		}
	}
	pc.Title, pc.Section = pc.T("synonyms.title"), "admin"
	page.layout = pc.layout
	return pc.show(status, "synonyms", page)
}

// triedSynonyms tries a group of words within the person's rate limit.
func (pc *pageContext) triedSynonyms(words, text string) (now, with editing.Tried, err error) {
	if err := pc.pages.Auth.AllowCommand(pc.Person.User); err != nil {
		return now, with, err
	}
	return pc.pages.Editor.TrySynonyms(pc.r.Context(), lines(words), text)
}

func (pc *pageContext) trial(key, text string, t editing.Tried) trial {
	return trial{pc.T(key), t.Charged, pc.cards(text, matchesOf(t.Matches[:min(len(t.Matches), synonymsTried)]))}
}

// lines are the lines of a text that are not blank.
func lines(text string) (list []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// addSynonyms adds the group of words of the form.
func (p *Pages) addSynonyms(pc *pageContext) error {
	pc.dropDraft(trySynonymsFields)
	err := p.Auth.AllowCommand(pc.Person.User)
	if err == nil {
		_, err = p.Editor.AddSynonyms(pc.r.Context(), pc.Person.User, lines(pc.typed("words")))
	}
	if err != nil {
		return pc.refused(synonymsFields, err, pc.showSynonyms)
	}
	return pc.redirectAfter(synonymsPath, flash{kind: flashSynonyms})
}

// removeSynonyms removes a group of words.
func (p *Pages) removeSynonyms(pc *pageContext) error {
	err := p.Auth.AllowCommand(pc.Person.User)
	if err == nil {
		err = p.Editor.RemoveSynonyms(pc.r.Context(), pc.Person.User, pc.r.PostForm.Get("id"))
	}
	if err != nil {
		return pc.refused(dropSynonymsFields, err, pc.showSynonyms)
	}
	return pc.redirectAfter(synonymsPath, flash{kind: flashNoSynonyms})
}

package httpapi

import (
	"net/http"
	"time"

	"kassa/httpapi/identity"
)

// factor says whether the user has a second factor.
func (s *Server) factor(w http.ResponseWriter, r *http.Request) error {
	who, _ := identity.From(r.Context())
	f, err := s.Identity.Factor(r.Context(), who)
	if err != nil {
		return err
	}
	answer := struct {
		Active bool      `json:"active"`
		Since  time.Time `json:"since,omitzero"`
		Codes  int       `json:"recovery_codes"` // that are left
	}{Active: f.Active, Codes: f.RecoveryCodes}
	if f.Active {
		answer.Since = f.Since.UTC()
	}
	return writeJSON(w, http.StatusOK, answer)
}

// offerFactor gives the secret for the user's device. It is not active before its first code.
func (s *Server) offerFactor(w http.ResponseWriter, r *http.Request) error {
	var password string
	if _, err := readBody(r, fields{"password": &password}); err != nil {
		return err
	}
	who, _ := identity.From(r.Context())
	key, err := s.Identity.OfferFactor(r, who, password)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, map[string]string{"secret": key.Secret(), "uri": key.URL()})
}

func (s *Server) confirmFactor(w http.ResponseWriter, r *http.Request) error {
	var code string
	if _, err := readBody(r, fields{"code": &code}); err != nil {
		return err
	}
	who, _ := identity.From(r.Context())
	codes, err := s.Identity.ConfirmFactor(r.Context(), who, code)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string][]string{"recovery_codes": codes})
}

// giveCode lets the session do what a code is asked for, for some minutes.
func (s *Server) giveCode(w http.ResponseWriter, r *http.Request) error {
	var code string
	if _, err := readBody(r, fields{"code": &code}); err != nil {
		return err
	}
	who, _ := identity.From(r.Context())
	if err := s.Identity.GiveCode(r.Context(), who, code); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) dropFactor(w http.ResponseWriter, r *http.Request) error {
	var password string
	if _, err := readBody(r, fields{"password": &password}); err != nil {
		return err
	}
	who, _ := identity.From(r.Context())
	if err := s.Identity.DropFactor(r, who, password); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

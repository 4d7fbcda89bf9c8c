package audit

import (
	"kassa/domain"
	"kassa/eventstore"
)

// MoveIn is what was accepted to be moved in, and what was moved, at a position.
type MoveIn struct {
	domain.MoveInAccepted                    // the last one
	Version               eventstore.Version `json:"version"` // of its stream; 0 where nothing was accepted
	Joined                int                `json:"joined"`  // accounts that the operator has opened
}

// accept proves that an acceptance follows in its stream, and that the final one says what was
// moved in.
func (r *replay) accept(rec eventstore.Recorded, e domain.MoveInAccepted) error {
	if err := inOrder(rec, eventstore.MoveInStream, r.moveIn.Version); err != nil {
		return err
	}
	if err := e.Check(); err != nil {
		return fault(FactBroken, rec.Position, "%s", err)
	}
	if r.moveIn.Final {
		r.broken(rec, fault(MoveOver, rec.Position, "a move is accepted after it was finished"))
	}
	moved := domain.MovedCredits{Bought: -r.report.House[domain.HouseMovedIn], Given: -r.report.House[domain.HouseGivenMovedIn]}
	if said := (domain.MovedCredits{Bought: e.Bought, Given: e.Given}); e.Final && (said != moved || e.People != r.moveIn.Joined) {
		r.broken(rec, fault(MoveDiffers, rec.Position, "the end of the move says that %d people have moved in with %s credits", e.People, said).
			between(moved, r.moveIn.Joined))
	}
	r.moveIn.MoveInAccepted, r.moveIn.Version = e, rec.Version
	return nil
}

// movedIn proves that what is moved in was accepted before, and that the move is not over.
func (r *replay) movedIn(rec eventstore.Recorded) {
	if kind, _ := authorOf(rec.Actor); kind != operator {
		return
	}
	if rec.Type == domain.TypeSignedUp {
		r.moveIn.Joined++
	}
	if r.moveIn.Version == 0 || r.moveIn.Final {
		r.broken(rec, fault(MoveOver, rec.Position, "%s of a move that was not accepted, or is finished", rec.Type))
	}
}

package audit_test

import "kassa/domain"

// keeps has bob ask for an erasure, and the user cancel it.
func (c *logBuilder) keeps(u domain.UserID, e domain.ErasureCancelled) {
	c.by("user:u_bob", domain.ErasureRequested{User: bob, Bought: domain.ForfeitCredits, DueAt: day})
	c.by("user:"+string(u), e)
}

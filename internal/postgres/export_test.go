package postgres

// CorrectClock is correct.
var CorrectClock = correct

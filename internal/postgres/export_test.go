package postgres

// CorrectClock lets the tests call the function "correct".
var CorrectClock = correct

package postgres

// CorrectClock gives the tests access to the function "correct".
var CorrectClock = correct

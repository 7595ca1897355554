"""What the benchmarks say where nothing else was asked for: things an agent on the telephone says."""

TEXTS = (
    "Thank you for calling, how can I help you today?",
    "Your table for four is booked for half past seven on Friday evening.",
    "One moment, please.",
    "The parcel left our warehouse this morning and should reach you by Thursday.",
    "I am sorry to hear that. Could you tell me the number on the back of the card?",
    "The next train to the coast leaves from platform nine in twelve minutes.",
    "Yes, that is right.",
    "It will be cloudy at first, with some sun in the afternoon and a light wind from the west.",
    "Please hold the line while I look that up for you.",
    "Your balance is two hundred and forty dollars and sixteen cents.",
    "Turn left after the bridge, then keep to the right until you see the church.",
    "Good morning! You have three messages and one meeting before lunch.",
)

"""What users and the assistant say around stories, as data. Topics come from the plot."""

REQUESTS = [
    "Tell me a story about {topic}.", "Tell me a story about {topic}.", "Tell me a story about {topic}", "tell me a story about {topic}",
    "Please tell me a story about {topic}.", "Can you tell me a story about {topic}?", "Write a story about {topic}.",
    "I would like a story about {topic}.", "A story about {topic}, please.", "Do you know a story about {topic}?",
    "Write a short story about {topic}.",
]
OPEN_REQUESTS = ["Tell me a story.", "Tell me a story", "tell me a story", "Can you tell me a story?", "I want to hear a story.", "A story, please."]
AGAIN = ["Tell me another one about {topic}.", "Tell me another story about {topic}.", "Now one about {topic}.", "And now one about {topic}, please.",
         "Another one about {topic}, please."]
AGAIN_OPEN = ["Tell me another one.", "Another story, please.", "One more!"]
COMMON_TOPICS = ["{n}", "a {kind} named {n}", "a {kind} called {n}", "a {kind}", "a {kind}", "a little {kind}"]
COMMON_ASKS = [
    "What was {his} name?#{His} name was {n}.", "What was the name of the {kind}?#The {kind} was called {n}.",
    "Who was the story about?#It was about a {kind} named {n}.",
]
GREETINGS = [("Hello!", "Hello"), ("Hello", "Hello"), ("Hi!", "Hi"), ("hi", "Hi"), ("Good morning!", "Good morning"), ("Hi there!", "Hi")]
WELCOMES = ["{hi}! Would you like to hear a story?", "{hi}! What shall the story be about?", "{hi}! I know many stories. Ask me for one."]
THANKS = ["Thank you!", "Thanks!", "That was nice.", "I liked that story.", "Thank you for the story."]
REPLIES = ["You are welcome! Would you like another story?", "I am glad that you liked it.", "You are welcome!"]

from alexnet.experiments.first_minute import NUM_HARDEST, _hardest
from alexnet.predict import Prediction


def test_the_hardest_are_those_with_the_least_sure_first_answer():
    sureness = [0.9, 0.3, 0.8, 0.5, 0.99, 0.4, 0.7, 0.6]
    answers = [[Prediction(label="0", index=0, probability=sure)] for sure in sureness]
    assert _hardest(answers) == [1, 5, 3, 7, 6, 2][:NUM_HARDEST]

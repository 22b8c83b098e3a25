import torch

from ssdet.augment.frames import take_columns, take_frames
from tests.augment.recipes import noise

CLIPS = torch.tensor([1, 1])
FRAMES = torch.tensor([[2, 0, 0], [1, 1, 2]])


def layouts():
    """The same video in two memory layouts."""
    video = noise(2, 3, 3, 4, 5)
    return video, video.to(memory_format=torch.channels_last_3d)


def test_frames_of_other_clips():
    for video in layouts():
        found = take_frames(video, CLIPS, FRAMES)
        for clip in (0, 1):
            assert found[clip].equal(video[1][:, FRAMES[clip]])
        assert take_frames(video, None, FRAMES)[0].equal(video[0][:, FRAMES[0]])
        assert take_frames(video, CLIPS, None).equal(video[CLIPS])


def test_frames_are_always_copies():
    video, _ = layouts()
    take_frames(video, None, None).zero_()
    assert video.abs().sum() > 0


def test_columns_begin_elsewhere_in_each_frame():
    for video in layouts():
        wide = torch.zeros(2 * 3 * 3 * 4, 6)
        take_columns(video, CLIPS, FRAMES, wide[:, 1:4])
        found = wide.view(2, 3, 3, 4, 6)
        for clip in (0, 1):
            for t in range(3):
                first = int(FRAMES[clip, t])
                expected = video[1, :, t, :, first : first + 3]
                assert found[clip, :, t, :, 1:4].equal(expected)
        assert (found[..., [0, 4, 5]] == 0).all()
